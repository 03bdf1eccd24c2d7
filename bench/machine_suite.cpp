// The suite `machine`: each probe is a case.
#include <cmath>

#include "bench/cpu_probes.h"
#include "bench/sizes.h"
#include "bench/suites.h"
#include "host/cuda_loader.h"

namespace pendula {
namespace {

class ProbeWork final : public Work {
 public:
  explicit ProbeWork(const Probe& probe) : call_(probe.call), work_(probe.work) {}
  double call() override { return call_(); }
  double units() const override { return work_; }

 private:
  std::function<double()> call_;
  double work_;
};

// Whole numbers as integers.
Keys number(double value) {
  if (value == std::floor(value) && std::abs(value) < 1e15) return static_cast<int64_t>(value);
  return value;
}

Case probe_case(const Probe& probe, const std::string& backend) {
  Case c;
  c.keys["suite"] = "machine";
  c.keys["case"] = probe.name;
  c.keys["backend"] = backend;
  for (const auto& [name, value] : probe.sizes) c.keys[name] = number(value);
  if (!probe.precision.empty()) c.keys["precision"] = probe.precision;
  c.quantities.push_back({probe.metric, 1.0, {}});
  c.group = "machine";
  c.prepare = [probe] { return std::make_unique<ProbeWork>(probe); };
  c.not_measured = probe.not_measured;
  return c;
}

}  // namespace

std::vector<Case> machine_cases(const Target& target) {
  const bool small = target.sizes == Sizes::kTiny;
  const std::vector<Probe> probes =
      target.backend == "cuda"
          ? load_cuda_probes(target.device, small)
          : cpu_probes(target.simd, target.threads, yardstick_shapes(target.sizes), small);
  std::vector<Case> cases;
  for (const Probe& p : probes) cases.push_back(probe_case(p, target.backend));
  return cases;
}

}  // namespace pendula
