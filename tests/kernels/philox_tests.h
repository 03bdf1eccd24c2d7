// kernels/philox.h: the published answers, counters that never meet, and the numbers' moments.
#pragma once

#include <cstdio>
#include <set>
#include <tuple>

#include "kernels/philox.h"
#include "tests/kernels/arena.h"

namespace pendula {

struct PhiloxProgram {
  const Uint4* counters;
  const uint64_t* keys;
  Uint4* out;
  int n;

  PENDULA_FN int grid() const { return 1; }
  template <class B>
  PENDULA_FN void operator()(B& b) const {
    const PhiloxProgram p = *this;
    b.for_each(n, [=](int i) { p.out[i] = philox(p.counters[i], p.keys[i]); });
  }
};

// For environments first .. first + n - 1, by lanes or one by one: the words of one call in
// words[j * n + i], and what is made of them: the four normal numbers in numbers[j * n + i], then
// four uniform ones.
template <class T>
struct RandomProgram {
  uint64_t seed;
  uint64_t step;
  uint32_t first;
  int n;  // a multiple of 16
  bool by_lanes;
  uint32_t* words;
  T* numbers;

  PENDULA_FN int grid() const { return 1; }
  template <class B>
  PENDULA_FN void operator()(B& b) const {
    const RandomProgram p = *this;
    if (by_lanes) {
      b.template for_lanes<T>(n, [=](int i, auto tag) { p.template draw<decltype(tag)>(i); });
    } else {
      b.for_each(n, [=](int i) { p.template draw<T>(i); });
    }
  }
  template <class V>
  PENDULA_FN void draw(int i) const {
    Words<V> env;
    count_from(first + static_cast<uint32_t>(i), env);
    const auto r = random(seed, Purpose::kNoise, 3, env, step);
    V z[4];
    gaussian_pair(r.x, r.y, z[0], z[1]);
    gaussian_pair(r.z, r.w, z[2], z[3]);
    for (int j = 0; j < 4; ++j) {
      const Words<V> w = word(r, static_cast<uint32_t>(j));
      for (int k = 0; k < kCountOf<V>; ++k) words[j * n + i + k] = lane_word(w, k);
      store(numbers + j * n + i, z[j]);
      store(numbers + (4 + j) * n + i, uniform<V>(w, T(-3), T(5)));
    }
  }
};

template <class T>
struct Drawn {
  std::vector<uint32_t> words;
  std::vector<T> numbers;
};
template <class Runner, class T>
Drawn<T> draw_on(uint64_t seed, uint64_t step, uint32_t first, int n, bool by_lanes) {
  const size_t size = static_cast<size_t>(n);
  typename Runner::template Buffer<uint32_t> words(4 * size);
  typename Runner::template Buffer<T> numbers(8 * size);
  Runner::run(RandomProgram<T>{seed, step, first, n, by_lanes, words.data(), numbers.data()});
  return {words.download(), numbers.download()};
}

template <class Runner>
class PhiloxTest : public testing::Test {};
TYPED_TEST_SUITE(PhiloxTest, Runners, RunnerNames);

TYPED_TEST(PhiloxTest, KnownAnswersOfRandom123) {
  const uint32_t f = 0xffffffffu;
  typename TypeParam::template Buffer<Uint4> counters(std::vector<Uint4>{
      {0, 0, 0, 0}, {f, f, f, f}, {0x243f6a88u, 0x85a308d3u, 0x13198a2eu, 0x03707344u}});
  typename TypeParam::template Buffer<uint64_t> keys(
      std::vector<uint64_t>{0, ~uint64_t{0}, 0x299f31d0a4093822u});
  typename TypeParam::template Buffer<Uint4> out(3);
  TypeParam::run(PhiloxProgram{counters.data(), keys.data(), out.data(), 3});
  const Uint4 want[3] = {{0x6627e8d5u, 0xe169c58du, 0xbc57ac4cu, 0x9b00dbd8u},
                         {0x408f276du, 0x41c83b0eu, 0xa20bc7c6u, 0x6d5451fdu},
                         {0xd16cfe09u, 0x94fdccebu, 0x5001e420u, 0x24126ea1u}};
  const std::vector<Uint4> got = out.download();
  for (size_t i = 0; i < 3; ++i) {
    for (uint32_t j = 0; j < 4; ++j) EXPECT_EQ(word(got[i], j), word(want[i], j)) << i;
  }
}

// Philox is a bijection of the counter for each key, so two numbers meet where counters do.
TYPED_TEST(PhiloxTest, PurposesDimensionsIndicesAndStepsNeverMeet) {
  const uint64_t values[] = {0,
                             1,
                             2,
                             255,
                             256,
                             257,
                             65536,
                             0xffffffffull,
                             0x100000000ull,
                             0x100000001ull,
                             0x1000000000ull,
                             0x3100000000ull,
                             0x8000000000ull};
  std::set<std::tuple<uint32_t, uint32_t, uint32_t, uint32_t>> seen;
  size_t drawn = 0;
  for (uint32_t purpose = 1; purpose <= 9; ++purpose) {
    for (uint32_t dim : {0u, 1u, 2u, 64u, 98u, 255u, 256u}) {
      for (uint64_t index : values) {
        for (uint64_t step : values) {
          // Environments and samples are below 2^40, of which 8 bits lie beside the step's.
          const Uint4 r = random(5, static_cast<Purpose>(purpose), dim, index, step);
          seen.emplace(r.x, r.y, r.z, r.w);
          ++drawn;
        }
      }
    }
  }
  EXPECT_EQ(seen.size(), drawn);
}

template <class Runner, class T>
void check_lanes() {
  for (uint64_t seed : {uint64_t{1}, uint64_t{0x299f31d0a4093822}}) {
    for (uint64_t step : {uint64_t{0}, uint64_t{0x100000007}, uint64_t{0xfffffffffffff0}}) {
      for (uint32_t first : {0u, 64u, 0x7fffffe0u, 0xffffffe0u}) {
        const Drawn<T> lanes = draw_on<Runner, T>(seed, step, first, 32, true);
        const Drawn<T> scalars = draw_on<Runner, T>(seed, step, first, 32, false);
        EXPECT_EQ(lanes.numbers, scalars.numbers) << seed << " " << step << " " << first;
        for (uint32_t i = 0; i < 32; ++i) {
          const Uint4 r = random(seed, Purpose::kNoise, 3, uint64_t{first} + i, step);
          for (uint32_t j = 0; j < 4; ++j) {
            ASSERT_EQ(lanes.words[j * 32 + i], word(r, j)) << seed << " " << step << " " << i;
            ASSERT_EQ(scalars.words[j * 32 + i], word(r, j)) << seed << " " << step << " " << i;
          }
        }
      }
    }
  }
}

TYPED_TEST(PhiloxTest, LanesDrawTheNumbersOfScalars) {
  check_lanes<TypeParam, float>();
  if constexpr (!TypeParam::kIsCuda) check_lanes<TypeParam, double>();
}

TYPED_TEST(PhiloxTest, GaussianNumbersHaveTheMomentsOfTheNormalDistribution) {
  constexpr int kEnvs = 48, kSteps = 5200;
  std::vector<float> z;  // of each step: the four numbers of environment 0, of 1, ...
  for (uint64_t step = 0; step < kSteps; ++step) {
    const Drawn<float> d = draw_on<TypeParam, float>(77, step, 0, kEnvs, true);
    for (size_t i = 0; i < kEnvs; ++i) {
      for (size_t j = 0; j < 4; ++j) z.push_back(d.numbers[j * kEnvs + i]);
    }
  }
  const double n = static_cast<double>(z.size());
  double m[5] = {};
  for (float x : z) {
    for (int k = 1; k <= 4; ++k) m[k] += std::pow(static_cast<double>(x), k) / n;
    ASSERT_TRUE(std::fabs(x) < 5.8f);
  }
  // Five standard errors of each moment of n normal numbers: sqrt of 1, 2, 15, 96 over n.
  EXPECT_TRUE(std::fabs(m[1]) <= 5.0 * std::sqrt(1.0 / n)) << m[1];
  EXPECT_TRUE(std::fabs(m[2] - 1.0) <= 5.0 * std::sqrt(2.0 / n)) << m[2];
  EXPECT_TRUE(std::fabs(m[3]) <= 5.0 * std::sqrt(15.0 / n)) << m[3];
  EXPECT_TRUE(std::fabs(m[4] - 3.0) <= 5.0 * std::sqrt(96.0 / n)) << m[4];

  // Neighbours: the four numbers of a call, environments, steps. The correlation of n independent
  // pairs has standard error 1 / sqrt(n).
  for (size_t distance : {size_t{1}, size_t{2}, size_t{3}, size_t{4}, size_t{4} * kEnvs}) {
    double sum = 0.0, squares = 0.0;
    for (size_t i = 0; i + distance < z.size(); ++i) {
      sum += static_cast<double>(z[i]) * z[i + distance];
      const double a = static_cast<double>(z[i]) * z[i],
                   b = double(z[i + distance]) * z[i + distance];
      squares += (a - 1.0) * (b - 1.0) / 2.0;
    }
    EXPECT_TRUE(std::fabs(sum / n) <= 5.0 / std::sqrt(n)) << distance;
    EXPECT_TRUE(std::fabs(squares / n) <= 5.0 / std::sqrt(n)) << distance;
  }
}

TYPED_TEST(PhiloxTest, GaussianNumbersAreBoxAndMullers) {
  constexpr uint32_t kEnvs = 1024;
  const Drawn<float> d = draw_on<TypeParam, float>(3, 5, 0, kEnvs, true);
  double worst = 0.0;
  for (uint32_t i = 0; i < kEnvs; ++i) {
    const Uint4 r = random(3, Purpose::kNoise, 3, i, 5);
    for (uint32_t j = 0; j < 4; ++j) {
      const double u1 = (std::floor(word(r, j / 2 * 2) / 512.0) + 0.5) / 8388608.0;
      const double angle = 2.0 * M_PI * std::floor(word(r, j / 2 * 2 + 1) / 256.0) / 16777216.0;
      const double want =
          std::sqrt(-2.0 * std::log(u1)) * (j % 2 ? std::sin(angle) : std::cos(angle));
      const double error = std::fabs(d.numbers[j * kEnvs + i] - want);
      if (!(error <= worst)) worst = error;
    }
  }
  // The angle's rounding, 2^-22, times a radius up to 5.7.
  EXPECT_TRUE(worst <= 3e-6) << worst;
}

TYPED_TEST(PhiloxTest, UniformNumbersStayInTheirRange) {
  EXPECT_EQ(uniform01<float>(0), 0.0f);
  EXPECT_EQ(uniform01<float>(0xffffffffu), 1.0f - 1.0f / 16777216.0f);
  EXPECT_EQ(uniform<double>(0x80000000u, -3.0, 5.0), 1.0);
  for (uint32_t n : {1u, 2u, 3u, 1000u, 0xffffffffu}) {
    EXPECT_EQ(below(0, n), 0u);
    EXPECT_EQ(below(0xffffffffu, n), n - 1);
    EXPECT_EQ(below(0x80000000u, n), n / 2);
  }
}

}  // namespace pendula
