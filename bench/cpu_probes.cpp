#include "bench/cpu_probes.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>
#include <memory>
#include <stdexcept>

#include "bench/cpu_peaks.h"
#include "bench/memory_probe.h"
#include "bench/openblas.h"
#include "host/error.h"
#include "host/pool.h"
#include "host/simd.h"

namespace pendula {

#define PENDULA_DECLARE(level, argument) extern const CpuPeaks cpu_peaks_##level;
PENDULA_LEVELS(PENDULA_DECLARE, )
#undef PENDULA_DECLARE

namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

// A wrong result of a probe: the machine or its libraries cannot be trusted.
[[noreturn]] void wrong(const std::string& probe) {
  throw Error(ExitCode::kDevice, "the probe " + probe +
                                     " computed a wrong result, so its time means nothing; check "
                                     "this machine's memory and libraries");
}

void add_threads(Probe& probe, int threads) { probe.sizes.emplace_back("threads", threads); }

Probe fma_probe(const CpuPeaks& peaks, int threads, bool small) {
  const int64_t steps = small ? 1000 : 100000;
  Probe p;
  p.name = "fma";
  p.metric = "flop_per_second";
  p.precision = "fp32";
  p.work = peaks.fma_flop * static_cast<double>(steps) * threads;
  add_threads(p, threads);
  auto pool = std::make_shared<std::unique_ptr<Pool>>();
  p.call = [=, run = peaks.fma] {
    if (*pool == nullptr) *pool = std::make_unique<Pool>(threads);
    std::vector<float> means(static_cast<size_t>(threads));
    const Clock::time_point begin = Clock::now();
    (*pool)->run([&](int w) { means[static_cast<size_t>(w)] = run(steps, 0.0f, 0.5f, 1.0f); });
    const double seconds = seconds_since(begin);
    for (const float mean : means) {
      if (!(mean == 2.0f)) wrong("fma");
    }
    return seconds;
  };
  return p;
}

Probe triad_probe(const CpuPeaks& peaks, const std::string& name, size_t bytes, int threads) {
  // Each thread has its own three arrays, on pages that it touched first.
  struct State {
    std::unique_ptr<Pool> pool;
    std::vector<std::unique_ptr<float[]>> arrays;  // (threads) of (3 n)
  };
  const size_t n =
      std::max<size_t>(64, bytes / static_cast<size_t>(threads) / 3 / sizeof(float) / 64 * 64);
  const size_t times = std::max<size_t>(1, (size_t{1} << 21) / (3 * n));
  Probe p;
  p.name = name;
  p.metric = "bytes_per_second";
  p.precision = "fp32";
  p.work = static_cast<double>(times * 3 * n * sizeof(float)) * threads;
  p.sizes.emplace_back("bytes", static_cast<double>(bytes));
  add_threads(p, threads);
  auto state = std::make_shared<State>();
  p.call = [=, triad = peaks.triad] {
    constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
    if (state->pool == nullptr) {
      state->arrays.clear();
      for (int t = 0; t < threads; ++t) {
        state->arrays.push_back(std::make_unique_for_overwrite<float[]>(3 * n));
      }
      auto pool = std::make_unique<Pool>(threads);
      pool->run([&](int w) {
        float* all = state->arrays[static_cast<size_t>(w)].get();
        std::fill_n(all, n, kNan);
        std::fill_n(all + n, n, 1.0f);
        std::fill_n(all + 2 * n, n, 2.0f);
      });
      state->pool = std::move(pool);
    }
    const Clock::time_point begin = Clock::now();
    state->pool->run([&](int w) {
      float* a = state->arrays[static_cast<size_t>(w)].get();
      for (size_t i = 0; i < times; ++i) triad(n, a, a + n, a + 2 * n, 3.0f);
    });
    const double seconds = seconds_since(begin);
    for (const auto& all : state->arrays) {
      for (const size_t i : {size_t{0}, n / 2, n - 1}) {
        if (!(all[i] == 7.0f)) wrong(name);
        all[i] = kNan;
      }
    }
    return seconds;
  };
  return p;
}

Probe philox_probe(const CpuPeaks& peaks, bool small) {
  const uint32_t calls = small ? 64 : 1 << 16;
  Probe p;
  p.name = "philox";
  p.metric = "words_per_second";
  p.work = 4.0 * calls;
  add_threads(p, 1);
  p.call = [=, philox_words = peaks.philox] {
    const Clock::time_point begin = Clock::now();
    const uint32_t sum = philox_words(calls, 7);
    const double seconds = seconds_since(begin);
    if (sum == 0) wrong("philox");  // of 2^32 sums, this one does not come
    return seconds;
  };
  return p;
}

struct GatherState {
  std::vector<uint32_t> ring;
  uint64_t seed = 1;
};

Probe gather_probe(int record_bytes, int log2_bytes, std::shared_ptr<GatherState> state) {
  const int log2_words = log2_bytes - 2;
  const int64_t count = int64_t{1} << std::min(14, log2_words - 4);
  Probe p;
  p.name = "gather_" + std::to_string(record_bytes);
  p.metric = "gathers_per_second";
  p.work = static_cast<double>(count);
  p.sizes.emplace_back("bytes", record_bytes);
  p.sizes.emplace_back("buffer_bytes", std::ldexp(1.0, log2_bytes));
  add_threads(p, 1);
  p.call = [=] {
    if (state->ring.empty()) {
      state->ring.resize(size_t{1} << log2_words);
      fill_gather_ring(state->ring.size(), state->ring.data());
    }
    const Clock::time_point begin = Clock::now();
    const bool right = gather(record_bytes / 4, log2_words, state->ring.data(), count, state->seed);
    const double seconds = seconds_since(begin);
    if (!right) wrong("gather_" + std::to_string(record_bytes));
    return seconds;
  };
  return p;
}

// Uniform numbers in (-1, 1) from a linear congruential generator.
std::vector<float> random_floats(int64_t n, uint32_t seed) {
  std::vector<float> values(static_cast<size_t>(n));
  for (float& v : values) {
    seed = seed * 1664525u + 1013904223u;
    v = static_cast<float>(static_cast<int32_t>(seed)) * 0x1p-31f;
  }
  return values;
}

// Whether C is A B within the error of any order of the sums in fp32: k roundings of terms below 1.
bool is_product(const ProductShape& s, const std::vector<float>& a, const std::vector<float>& b,
                const std::vector<float>& c) {
  const double tolerance = 0x1p-24 * static_cast<double>(s.k * s.k);
  for (int64_t i = 0; i < s.m; ++i) {
    for (int64_t j = 0; j < s.n; ++j) {
      double sum = 0.0;
      for (int64_t l = 0; l < s.k; ++l) {
        sum += static_cast<double>(a[static_cast<size_t>(i * s.k + l)]) *
               static_cast<double>(b[static_cast<size_t>(l * s.n + j)]);
      }
      const double error = std::abs(sum - static_cast<double>(c[static_cast<size_t>(i * s.n + j)]));
      if (!(error <= tolerance)) return false;
    }
  }
  return true;
}

// Each thread computes a product of its own.
Probe sgemm_probe(const ProductShape& s, int threads, bool small) {
  const double flop = 2.0 * static_cast<double>(s.m) * static_cast<double>(s.n * s.k);
  const int64_t times = small ? 1 : std::max<int64_t>(1, std::llround(1e8 / flop));
  Probe p;
  p.name = "sgemm";
  p.metric = "flop_per_second";
  p.precision = "fp32";
  p.not_measured = OpenBlas::instance().problem();
  p.work = flop * static_cast<double>(times) * threads;
  p.sizes.emplace_back("m", static_cast<double>(s.m));
  p.sizes.emplace_back("n", static_cast<double>(s.n));
  p.sizes.emplace_back("k", static_cast<double>(s.k));
  add_threads(p, threads);
  struct State {
    std::unique_ptr<Pool> pool;
    std::vector<float> a, b;
    std::vector<std::vector<float>> c;  // (threads) of (m, n)
  };
  auto state = std::make_shared<State>();
  p.call = [=] {
    const OpenBlas& blas = OpenBlas::instance();
    if (!blas.problem().empty()) throw Error(ExitCode::kUsage, blas.problem());
    const auto multiply = [&](int w, int64_t count) {
      for (int64_t i = 0; i < count; ++i) {
        blas.sgemm(static_cast<int>(s.m), static_cast<int>(s.n), static_cast<int>(s.k),
                   state->a.data(), state->b.data(), state->c[static_cast<size_t>(w)].data());
      }
    };
    constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
    if (state->a.empty()) {
      state->pool = std::make_unique<Pool>(threads);
      state->a = random_floats(s.m * s.k, 1);
      state->b = random_floats(s.k * s.n, 2);
      state->c.assign(static_cast<size_t>(threads),
                      std::vector<float>(static_cast<size_t>(s.m * s.n), kNan));
      state->pool->run([&](int w) { multiply(w, 1); });
      for (const std::vector<float>& c : state->c) {
        if (!is_product(s, state->a, state->b, c)) wrong("sgemm");
      }
    }
    for (std::vector<float>& c : state->c) c.back() = kNan;
    const Clock::time_point begin = Clock::now();
    state->pool->run([&](int w) { multiply(w, times); });
    const double seconds = seconds_since(begin);
    for (const std::vector<float>& c : state->c) {
      if (!std::isfinite(c.back())) wrong("sgemm");
    }
    return seconds;
  };
  return p;
}

}  // namespace

const CpuPeaks& cpu_peaks(const std::string& level) {
#define PENDULA_TRY(name, argument) \
  if (level == #name) return cpu_peaks_##name;
  PENDULA_LEVELS(PENDULA_TRY, )
#undef PENDULA_TRY
  throw std::out_of_range("no level is called " + level);
}

std::vector<Probe> cpu_probes(const std::string& level, const std::vector<int>& threads,
                              const std::vector<ProductShape>& shapes, bool small) {
  const CpuPeaks& peaks = cpu_peaks(level);
  std::vector<Probe> probes;
  const auto mebibytes = [&](size_t n) { return small ? size_t{12288} : n << 20; };
  for (const int t : threads) probes.push_back(fma_probe(peaks, t, small));
  for (const ProductShape& s : shapes) {
    for (const int t : threads) probes.push_back(sgemm_probe(s, t, small));
  }
  // A third of a cache of 32 KiB and more, and of one of 512 KiB and more, is left for the rest.
  probes.push_back(triad_probe(peaks, "triad_l1", size_t{24} << 10, 1));
  probes.push_back(triad_probe(peaks, "triad_l2", size_t{384} << 10, 1));
  for (const int t : threads)
    probes.push_back(triad_probe(peaks, "triad_memory", mebibytes(384), t));
  const auto ring = std::make_shared<GatherState>();
  for (const int bytes : {16, 32, 64}) {
    probes.push_back(gather_probe(bytes, small ? 12 : 28, ring));
  }
  probes.push_back(philox_probe(peaks, small));
  return probes;
}

}  // namespace pendula
