// A block that behaves like a GPU's on a machine without one: T logical threads, each a fiber that
// runs the whole program and takes its share of every loop. Between two barriers the fibers run one
// after the other in random order, and shared memory starts as NaN, so that a program that lacks a
// barrier reads what is not there yet, or what is there no longer. Thrown as std::logic_error:
// fibers that finish while others wait at a barrier, and writes beyond a shared buffer.
#pragma once

#include <ucontext.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <exception>
#include <functional>
#include <random>
#include <stdexcept>
#include <vector>

#include "kernels/matrix.h"
#include "kernels/plan.h"

namespace pendula {

// Runs `threads` fibers of one function, one barrier interval after the other.
class FiberGroup {
 public:
  explicit FiberGroup(int threads)
      : fibers_(static_cast<size_t>(threads)), stacks_(fibers_.size() * kStackBytes) {}

  // body(thread) on every fiber.
  void run(std::mt19937& order, const std::function<void(int)>& body) {
    body_ = &body;
    error_ = nullptr;
    for (size_t i = 0; i < fibers_.size(); ++i) {
      Fiber& fiber = fibers_[i];
      fiber.finished = false;
      getcontext(&fiber.context);
      fiber.context.uc_stack.ss_sp = stacks_.data() + i * kStackBytes;
      fiber.context.uc_stack.ss_size = kStackBytes;
      fiber.context.uc_link = &scheduler_;
      const auto self = reinterpret_cast<uintptr_t>(this);
      makecontext(&fiber.context, reinterpret_cast<void (*)()>(&enter), 3,
                  static_cast<uint32_t>(self), static_cast<uint32_t>(self >> 32),
                  static_cast<uint32_t>(i));
    }
    std::vector<size_t> turn(fibers_.size());
    for (size_t i = 0; i < turn.size(); ++i) turn[i] = i;
    for (;;) {
      std::shuffle(turn.begin(), turn.end(), order);
      size_t finished = 0;
      for (size_t i : turn) {
        current_ = i;
        swapcontext(&scheduler_, &fibers_[i].context);
        if (error_ != nullptr) std::rethrow_exception(error_);
        finished += fibers_[i].finished ? 1 : 0;
      }
      if (finished == fibers_.size()) return;
      if (finished != 0) throw std::logic_error("threads of a block disagree about a barrier");
    }
  }

  // Called by a fiber: waits for the others.
  void barrier() { swapcontext(&fibers_[current_].context, &scheduler_); }

 private:
  static constexpr size_t kStackBytes = 256 * 1024;
  struct Fiber {
    ucontext_t context;
    bool finished = false;
  };

  static void enter(uint32_t low, uint32_t high, uint32_t thread) {
    auto* self = reinterpret_cast<FiberGroup*>(static_cast<uintptr_t>(high) << 32 | low);
    try {
      (*self->body_)(static_cast<int>(thread));
    } catch (...) {
      self->error_ = std::current_exception();
    }
    self->fibers_[thread].finished = true;
  }

  std::vector<Fiber> fibers_;
  std::vector<char> stacks_;
  ucontext_t scheduler_;
  size_t current_ = 0;
  const std::function<void(int)>* body_ = nullptr;
  std::exception_ptr error_;
};

// The shared memory of one block: NaN between buffers too, where it must stay.
class ShuffleMemory {
 public:
  static constexpr size_t kGuardBytes = 64;
  static constexpr int kPoison = 0xff;  // NaN as float and as double

  explicit ShuffleMemory(size_t bytes) : bytes_(bytes, static_cast<char>(kPoison)) {}

  char* take(size_t begin, size_t n) {
    if (begin + n + kGuardBytes > bytes_.size()) throw std::logic_error("shared memory is full");
    used_ = std::max(used_, begin + n + kGuardBytes);
    ends_.push_back(begin + n);
    return bytes_.data() + begin;
  }
  // Checks the guards and poisons what was used.
  void finish() {
    bool intact = true;
    for (size_t end : ends_) {
      for (size_t i = 0; i < kGuardBytes; ++i) {
        intact = intact && bytes_[end + i] == static_cast<char>(kPoison);
      }
    }
    std::memset(bytes_.data(), kPoison, used_);
    used_ = 0;
    ends_.clear();
    if (!intact) throw std::logic_error("a write beyond a shared buffer");
  }

 private:
  std::vector<char> bytes_;
  std::vector<size_t> ends_;
  size_t used_ = 0;
};

// One thread of the block: the interface of kernels/block_cpu.h.
class ShuffleBlock {
 public:
  static constexpr int kLd = kRows + 3;  // odd, and not the CPU's, so that nobody counts on it

  ShuffleBlock(int index, int thread, int threads, bool backwards, FiberGroup& group,
               ShuffleMemory& memory)
      : index_(index),
        thread_(thread),
        threads_(threads),
        backwards_(backwards),
        group_(group),
        memory_(memory) {}

  int index() const { return index_; }
  Resident resident() const { return {}; }

  template <class F>
  void for_each(int n, F f) const {
    const int mine = (n - thread_ + threads_ - 1) / threads_;
    for (int j = 0; j < mine; ++j) f(thread_ + (backwards_ ? mine - 1 - j : j) * threads_);
  }
  template <class T, class F>
  void for_lanes(int n, F f) const {
    for_each(n, [&](int i) { f(i, T()); });
  }
  void sync() const { group_.barrier(); }
  template <class T>
  int padded(int rows) const {
    return rows;
  }

  template <class T>
  T* shared(int n) {
    const size_t bytes = (static_cast<size_t>(n) * sizeof(T) + 63) / 64 * 64;
    char* p = memory_.take(used_, bytes);
    used_ += bytes + ShuffleMemory::kGuardBytes;
    return reinterpret_cast<T*>(p);
  }

  // Every thread adds everything up by itself, in the order that kernels/block_cpu.h names.
  template <class T, class F>
  T reduce(int n, F f) const {
    T s[32];
    for (int j = 0; j < 32; ++j) {
      s[j] = T(0);
      for (int i = j; i < n; i += 32) s[j] += f(i);
    }
    for (int d = 16; d > 0; d /= 2) {
      for (int j = 0; j < d; ++j) s[j] += s[j + d];
    }
    return s[0];
  }

  template <class T, class E>
  void gemm(int M, int N, int K, Matrix<T> A, Matrix<T> B, E epilogue) const {
    for_each(M * N, [&](int i) {
      const int m = i / N, n = i % N;
      T sum = T(0);
      for (int k = 0; k < K; ++k) {
        sum = fma(A.p[static_cast<int64_t>(m) * A.row + static_cast<int64_t>(k) * A.col],
                  B.p[static_cast<int64_t>(k) * B.row + static_cast<int64_t>(n) * B.col], sum);
      }
      epilogue(m, n, sum);
    });
  }
  template <class T, class E>
  void gemm_fp32(int M, int N, int K, Matrix<T> A, Matrix<T> B, E epilogue) const {
    gemm<T>(M, N, K, A, B, epilogue);
  }

  static void or_into(uint32_t* word, uint32_t bits) { *word |= bits; }

  template <class T>
  static T load_shared(const T* p) {
    return *p;
  }
  template <class T>
  static void store_shared(T* p, T x) {
    *p = x;
  }

 private:
  int index_, thread_, threads_;
  bool backwards_;
  FiberGroup& group_;
  ShuffleMemory& memory_;
  size_t used_ = 0;
};

// Runs programs on such blocks, the blocks of a grid in random order too.
class ShuffleMachine {
 public:
  explicit ShuffleMachine(uint32_t seed, int threads = 7)
      : threads_(threads), order_(seed), group_(threads), memory_(kMemoryBytes) {}

  template <class P>
  void run(const P& program) {
    std::vector<int> blocks(static_cast<size_t>(program.grid()));
    for (size_t i = 0; i < blocks.size(); ++i) blocks[i] = static_cast<int>(i);
    std::shuffle(blocks.begin(), blocks.end(), order_);
    for (int index : blocks) {
      const bool backwards = (order_() & 1) != 0;
      group_.run(order_, [&](int thread) {
        ShuffleBlock block(index, thread, threads_, backwards, group_, memory_);
        program(block);
      });
      memory_.finish();
    }
  }

 private:
  static constexpr size_t kMemoryBytes = size_t{24} << 20;

  int threads_;
  std::mt19937 order_;
  FiberGroup group_;
  ShuffleMemory memory_;
};

}  // namespace pendula
