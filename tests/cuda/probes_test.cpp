// The probes of `pendula bench machine --device cuda` once each, at small sizes. Each checks its
// own result, so that a call that returns has computed what it should.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <map>
#include <set>

#include "bench/cuda/probes.h"
#include "host/cuda/check.h"
#include "host/cuda_loader.h"
#include "host/error.h"

namespace pendula {
namespace {

const std::vector<std::string> kNames = {"memory_copy",    "l2_read",         "gather_16",
                                         "gather_32",      "gather_64",       "gather_16_l2",
                                         "gather_32_l2",   "gather_64_l2",    "fma",
                                         "tensor_tf32",    "tensor_bf16",     "tensor_fp16",
                                         "barrier_block",  "barrier_cluster", "barrier_grid",
                                         "launch",         "graph_node",      "while_turn",
                                         "cublas_forward", "cublas_backward", "cublas_gradient"};

int attribute(cudaDeviceAttr name) {
  int value = 0;
  PENDULA_CUDA_CHECK(cudaDeviceGetAttribute(&value, name, 0));
  return value;
}

// Of probes of several sizes, once.
std::vector<std::string> names_of(const std::vector<Probe>& probes) {
  std::vector<std::string> names;
  for (const Probe& p : probes) {
    if (names.empty() || names.back() != p.name) names.push_back(p.name);
  }
  return names;
}

std::vector<std::string> expected_names() {
  std::vector<std::string> names = kNames;
  if (attribute(cudaDevAttrClusterLaunch) == 0) std::erase(names, "barrier_cluster");
  return names;
}

TEST(CudaProbes, EachRunsAndItsResultIsRight) {
  for (const Probe& p : cuda_probes(0, true)) {
    SCOPED_TRACE(p.name);
    if (!p.not_measured.empty()) {  // where there is no cuBLAS
      EXPECT_EQ(p.name.find("cublas_"), 0u) << p.not_measured;
      EXPECT_THROW(p.call(), Error);
      continue;
    }
    for (int repeat = 0; repeat < 2; ++repeat) {
      const double seconds = p.call();
      EXPECT_TRUE(std::isfinite(seconds));
      EXPECT_GT(seconds, 0.0);
    }
  }
}

TEST(CudaProbes, NamesMetricsAndSizesAreThoseThatAreDocumented) {
  const std::set<std::string> metrics = {"bytes_per_second", "flop_per_second",
                                         "gathers_per_second", "seconds"};
  for (bool small : {true, false}) {
    const std::vector<Probe> probes = cuda_probes(0, small);
    for (const Probe& p : probes) {
      EXPECT_EQ(metrics.count(p.metric), 1u) << p.name;
      EXPECT_TRUE(std::isfinite(p.work)) << p.name;
      EXPECT_GE(p.work, 1.0) << p.name;
      EXPECT_EQ(p.precision.empty(), p.metric != "flop_per_second") << p.name;
      if (p.metric == "gathers_per_second") {
        ASSERT_FALSE(p.sizes.empty()) << p.name;
        EXPECT_EQ(p.sizes[0].first, "bytes");
        EXPECT_EQ(p.name.find("gather_" + std::to_string(static_cast<int>(p.sizes[0].second))), 0u);
      }
    }
    EXPECT_EQ(names_of(probes), expected_names());
  }
}

// At full size, by the estimates of an H200's limits: at least 5 ms of work.
TEST(CudaProbes, AFullCallIsLongEnoughToTime) {
  const double share = attribute(cudaDevAttrMultiProcessorCount) / 132.0;  // of its multiprocessors
  const std::map<std::string, double> limits = {{"memory_copy", 4.3e12},
                                                {"l2_read", 5.5e12},
                                                {"fma", 60e12 * share},
                                                {"tensor_tf32", 395e12 * 0.63 * share},
                                                {"tensor_bf16", 790e12 * 0.63 * share},
                                                {"tensor_fp16", 790e12 * 0.63 * share},
                                                {"barrier_block", 1 / 15e-9},
                                                {"barrier_cluster", 1 / 0.2e-6},
                                                {"barrier_grid", 1 / 1.2e-6},
                                                {"launch", 1 / 2.5e-6},
                                                {"graph_node", 1 / 0.6e-6},
                                                {"while_turn", 1 / 3e-6}};
  for (const Probe& p : cuda_probes(0, false)) {
    const auto limit = limits.find(p.name);
    if (limit != limits.end()) {
      EXPECT_GE(p.work / limit->second, 5e-3) << p.name;
    }
  }
}

TEST(CudaProbes, ComeThroughThePlugin) {
  const std::vector<Probe> probes = load_cuda_probes(0, true);
  EXPECT_EQ(names_of(probes), expected_names());
  EXPECT_GT(probes.front().call(), 0.0);
}

TEST(CudaProbes, TheMachineHasItsKeysAndValues) {
  const std::vector<std::string> keys = {"name",
                                         "compute_capability",
                                         "multiprocessors",
                                         "memory_mib",
                                         "l2_mib",
                                         "driver",
                                         "driver_cuda",
                                         "runtime_cuda",
                                         "sm_clock_mhz",
                                         "sm_clock_max_mhz",
                                         "memory_clock_mhz"};
  std::vector<std::string> found;
  for (const auto& [key, value] : load_cuda_machine(0)) {
    found.push_back(key);
    EXPECT_FALSE(value.empty()) << key;
    EXPECT_NE(value, "0") << key;
  }
  EXPECT_EQ(found, keys);
}

TEST(CudaProbes, ADeviceThatIsNotThereIsAnError) {
  EXPECT_THROW(load_cuda_probes(99, true), Error);
  EXPECT_THROW(load_cuda_machine(-1), Error);
  EXPECT_THROW(cuda_probes(99, true), Error);
}

}  // namespace
}  // namespace pendula

int main(int argc, char** argv) {
  setenv("PENDULA_CUDA_PLUGIN", PENDULA_CUDA_PLUGIN_FILE, 0);
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
