// The CPU backend's workers: each runs the same function at the same time, and they meet at
// barriers. Blocks of a grid go to workers by a fixed partition.
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace pendula {

class Pool {
 public:
  explicit Pool(int workers);
  ~Pool();
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  int workers() const { return workers_; }

  // work(worker) on every worker, 0 being the caller; returns when all are done. `work` must not
  // throw (a program that does is a bug): the process ends.
  void run(const std::function<void(int)>& work);

  // Waits for all workers. Called by each of them, from inside run().
  void barrier() {
    if (workers_ == 1) return;
    const uint32_t turn = turn_.load(std::memory_order_relaxed);
    if (arrived_.fetch_add(1, std::memory_order_acq_rel) + 1 == workers_) {
      arrived_.store(0, std::memory_order_relaxed);
      turn_.store(turn + 1, std::memory_order_release);
      return;
    }
    for (int spins = 0; turn_.load(std::memory_order_acquire) == turn; ++spins) {
      if (spins < kSpins) {
        __builtin_ia32_pause();
      } else {
        std::this_thread::yield();  // more workers than cores
      }
    }
  }

  // Blocks [begin, end) of `blocks` that worker `w` runs.
  int begin(int blocks, int w) const {
    return static_cast<int>(static_cast<int64_t>(blocks) * w / workers_);
  }
  int end(int blocks, int w) const { return begin(blocks, w + 1); }

 private:
  static constexpr int kSpins = 4000;

  void serve(int worker);

  const int workers_;
  std::vector<std::thread> threads_;
  std::mutex mutex_;
  std::condition_variable start_;
  const std::function<void(int)>* work_ = nullptr;
  uint64_t generation_ = 0;
  bool quit_ = false;
  alignas(64) std::atomic<int> arrived_{0};
  alignas(64) std::atomic<uint32_t> turn_{0};
};

}  // namespace pendula
