// The CPU backend's workers: each runs the same function at the same time, and they meet at
// barriers.
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
  explicit Pool(int workers);  // throws Error(kMemory) where the system refuses a thread
  ~Pool();
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  int workers() const { return workers_; }

  // work(worker) on every worker, 0 being the caller; returns when all are done. `work` must not
  // throw (a program that does is a bug): the process ends.
  void run(const std::function<void(int)>& work);

  // Waits for all workers. Called by each of them, from inside run().
  void barrier();

 private:
  void serve(int worker);
  void quit();  // ends the threads

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
