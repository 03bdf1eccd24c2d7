#include "host/pool.h"

#include <fmt/format.h>

#include <system_error>

#include "host/cpu_programs.h"
#include "host/error.h"

namespace pendula {
namespace {

constexpr int kSpins = 4000;

void pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

}  // namespace

void wait_for_others(Pool& pool) { pool.barrier(); }

Pool::Pool(int workers) : workers_(workers < 1 ? 1 : workers) {
  try {
    for (int w = 1; w < workers_; ++w) threads_.emplace_back([this, w] { serve(w); });
  } catch (const std::system_error& error) {
    const size_t started = threads_.size() + 1;
    quit();
    throw Error(ExitCode::kMemory,
                fmt::format("the system refuses a thread ({}) after {} of {}; lower --threads, or "
                            "raise the limits (ulimit -u, ulimit -v)",
                            error.code().message(), started, workers_));
  }
}

Pool::~Pool() { quit(); }

void Pool::quit() {
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

void Pool::barrier() {
  if (workers_ == 1) return;
  const uint32_t turn = turn_.load(std::memory_order_relaxed);
  if (arrived_.fetch_add(1, std::memory_order_acq_rel) + 1 == workers_) {
    arrived_.store(0, std::memory_order_relaxed);
    turn_.store(turn + 1, std::memory_order_release);
    return;
  }
  for (int spins = 0; turn_.load(std::memory_order_acquire) == turn; ++spins) {
    if (spins < kSpins) {
      pause();
    } else {
      std::this_thread::yield();  // more workers than cores
    }
  }
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
