// That tests/block_shuffle.h catches what it is there to catch: a missing barrier, a barrier that
// only some threads reach, a write beyond a shared buffer. Each with the program that is right.
#include "tests/block_shuffle.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

namespace pendula {
namespace {

// out[i] = in[n - 1 - i], through shared memory.
struct Reverse {
  int n;
  const float* in;
  float* out;
  bool with_barrier;

  int grid() const { return 1; }
  template <class B>
  void operator()(B& b) const {
    float* s = b.template shared<float>(n);
    b.for_each(n, [&](int i) { s[i] = in[i]; });
    if (with_barrier) b.sync();
    b.for_each(n, [&](int i) { out[i] = s[n - 1 - i]; });
  }
};

// Each step moves a row of shared memory along by one: reads, barrier, writes, barrier.
struct Rotate {
  int n, steps;
  float* out;
  bool second_barrier;

  int grid() const { return 1; }
  template <class B>
  void operator()(B& b) const {
    float* s = b.template shared<float>(n);
    float* t = b.template shared<float>(n);
    b.for_each(n, [&](int i) { s[i] = static_cast<float>(i); });
    b.sync();
    for (int step = 0; step < steps; ++step) {
      b.for_each(n, [&](int i) { t[i] = s[(i + 1) % n]; });
      if (second_barrier) b.sync();
      b.for_each(n, [&](int i) { s[i] = t[i]; });
      b.sync();
    }
    b.for_each(n, [&](int i) { out[i] = s[i]; });
  }
};

struct OneThreadLeaves {
  int grid() const { return 1; }
  template <class B>
  void operator()(B& b) const {
    bool first = false;
    b.for_each(1, [&](int) { first = true; });
    if (!first) b.sync();
  }
};

struct WriteBeyond {
  int extra;
  int grid() const { return 1; }
  template <class B>
  void operator()(B& b) const {
    float* s = b.template shared<float>(64);
    float* t = b.template shared<float>(64);
    b.for_each(64 + extra, [&](int i) { s[i] = t == nullptr ? 1.0f : 0.0f; });
  }
};

std::vector<float> reversed(uint32_t seed, bool with_barrier) {
  std::vector<float> in(100), out(100);
  for (size_t i = 0; i < in.size(); ++i) in[i] = static_cast<float>(i);
  ShuffleMachine(seed).run(Reverse{100, in.data(), out.data(), with_barrier});
  return out;
}

TEST(BlockShuffleTest, AMissingBarrierReadsNaN) {
  for (uint32_t seed = 0; seed < 10; ++seed) {
    const std::vector<float> right = reversed(seed, true), wrong = reversed(seed, false);
    int missing = 0;
    for (size_t i = 0; i < right.size(); ++i) {
      EXPECT_EQ(right[i], static_cast<float>(99 - i));
      missing += std::isnan(wrong[i]) ? 1 : 0;
    }
    EXPECT_GT(missing, 10) << "seed " << seed;
  }
}

TEST(BlockShuffleTest, AMissingBarrierBeforeAnOverwriteChangesTheResult) {
  for (uint32_t seed = 0; seed < 10; ++seed) {
    std::vector<float> right(33), wrong(33);
    ShuffleMachine machine(seed);
    machine.run(Rotate{33, 4, right.data(), true});
    machine.run(Rotate{33, 4, wrong.data(), false});
    for (size_t i = 0; i < right.size(); ++i) EXPECT_EQ(right[i], static_cast<float>((i + 4) % 33));
    EXPECT_NE(right, wrong) << "seed " << seed;
  }
}

TEST(BlockShuffleTest, ThreadsThatDisagreeAboutABarrierAreAnError) {
  EXPECT_THROW(ShuffleMachine(1).run(OneThreadLeaves{}), std::logic_error);
}

TEST(BlockShuffleTest, AWriteBeyondASharedBufferIsAnError) {
  EXPECT_NO_THROW(ShuffleMachine(1).run(WriteBeyond{0}));
  EXPECT_THROW(ShuffleMachine(1).run(WriteBeyond{1}), std::logic_error);
}

}  // namespace
}  // namespace pendula
