#include "host/pool.h"

namespace pendula {

Pool::Pool(int workers) : workers_(workers < 1 ? 1 : workers) {
  for (int w = 1; w < workers_; ++w) threads_.emplace_back([this, w] { serve(w); });
}

Pool::~Pool() {
  {
    const std::lock_guard lock(mutex_);
    quit_ = true;
  }
  start_.notify_all();
  for (std::thread& t : threads_) t.join();
}

void Pool::run(const std::function<void(int)>& work) {
  {
    const std::lock_guard lock(mutex_);
    work_ = &work;
    ++generation_;
  }
  start_.notify_all();
  work(0);
  barrier();
}

void Pool::serve(int worker) {
  uint64_t seen = 0;
  for (;;) {
    const std::function<void(int)>* work;
    {
      std::unique_lock lock(mutex_);
      start_.wait(lock, [&] { return quit_ || generation_ != seen; });
      if (quit_) return;
      seen = generation_;
      work = work_;
    }
    (*work)(worker);
    barrier();
  }
}

}  // namespace pendula
