#include "bench/sizes.h"

#include <algorithm>

namespace pendula {
namespace {

using Hidden = std::vector<int64_t>;

const Hidden k2x64 = {64, 64}, k2x128 = {128, 128}, k2x256 = {256, 256}, k400_300 = {400, 300},
             k1000_500_200 = {1000, 500, 200}, kTinyHidden = {16};

constexpr int64_t kTileRows = 64;  // of a rollout

// A first layer's inputs matter to networks of one hidden layer alone, which only tests measure.
constexpr int64_t kInputs = 4;

}  // namespace

std::vector<UpdateSize> update_sizes(Sizes sizes, bool cuda) {
  if (sizes == Sizes::kTiny) return {{kTinyHidden, 32}};
  std::vector<UpdateSize> all = {{k2x64, 100}, {k2x64, 128}, {k2x256, 256}};
  if (sizes == Sizes::kShort) return all;
  all.push_back({k2x64, 1024});
  all.push_back({k400_300, 256});
  if (cuda) {
    for (const Hidden& h : {k2x64, k2x256, k400_300, k1000_500_200}) {
      for (const int64_t batch : {8192, 131072}) all.push_back({h, batch});
    }
  }
  return all;
}

std::vector<PopulationSize> population_sizes(Sizes sizes, bool cuda) {
  if (sizes == Sizes::kTiny) return {{kTinyHidden, 32, {1, 3}}};
  if (!cuda) {
    if (sizes == Sizes::kShort) return {{k2x64, 128, {1, 64}}};
    return {{k2x64, 128, {1, 2, 8, 64}}, {k2x256, 256, {8}}};
  }
  const std::vector<int64_t> agents = {1, 16, 132, 1024, 4096};
  if (sizes == Sizes::kShort) return {{k2x64, 128, {1, 132, 1024}}, {k2x256, 256, {1, 132}}};
  return {{k2x64, 128, agents}, {k2x128, 128, agents}, {k2x256, 256, agents}};
}

std::vector<UpdateSize> small_batch_sizes(Sizes sizes, bool cuda) {
  if (sizes == Sizes::kTiny) return {{kTinyHidden, 8}};
  std::vector<UpdateSize> all;
  std::vector<Hidden> networks = {k2x64};
  if (sizes == Sizes::kFull && cuda) networks.push_back(k2x128);
  if (sizes == Sizes::kFull || cuda) networks.push_back(k2x256);
  const std::vector<int64_t> few = {16, 128}, many = {16, 32, 64, 128, 256};
  for (const Hidden& h : networks) {
    for (const int64_t batch : sizes == Sizes::kShort ? few : many) all.push_back({h, batch});
  }
  return all;
}

std::vector<StepSize> env_sizes(Sizes sizes) {
  switch (sizes) {
    case Sizes::kTiny:
      return {{64, 1}, {64, 4}};
    case Sizes::kShort:
      return {{1024, 1}, {65536, 1}, {65536, 32}};
    case Sizes::kFull:
      break;
  }
  std::vector<StepSize> all;
  for (const int64_t num_envs : {1024, 16384, 65536, 1048576}) {
    for (const int64_t length : {1, 32}) all.push_back({num_envs, length});
  }
  return all;
}

std::vector<RolloutSize> rollout_sizes(Sizes sizes, bool cuda) {
  if (sizes == Sizes::kTiny) return {{kTinyHidden, 64, 1}};
  if (sizes == Sizes::kShort) return {{k2x64, 4096, 1}, {k2x256, 4096, 1}};
  std::vector<RolloutSize> all;
  for (const Hidden& h : {k2x64, k2x256}) {
    for (const int64_t num_envs : {1024, 4096, 65536}) all.push_back({h, num_envs, 1});
  }
  if (cuda) {
    for (const Hidden& h : {k2x64, k2x256, k400_300, k1000_500_200}) all.push_back({h, 65536, 32});
  }
  return all;
}

std::vector<TrainSize> train_sizes(Sizes sizes, bool cuda) {
  const int64_t batch = train_update(sizes).batch;
  if (sizes == Sizes::kTiny) return {{16, 1, 16, batch}};
  std::vector<TrainSize> all = {{16, 1, 16, batch}, {4096, 1, 64, batch}};
  if (cuda &&
      sizes == Sizes::kFull) {  // rollouts and updates take about as long: docs/performance.md
    for (const int64_t lag : {0, 1}) all.push_back({65536, 32, 8, 8192, lag});
  }
  return all;
}

UpdateSize train_update(Sizes sizes) {
  if (sizes == Sizes::kTiny) return {kTinyHidden, 32};
  return {k2x64, 128};
}

ProductShape update_yardstick(const UpdateSize& size) {
  return largest_product(size.batch, kInputs, size.hidden);
}

ProductShape rollout_yardstick(const std::vector<int64_t>& hidden) {
  return largest_product(kTileRows, kInputs, hidden);
}

std::vector<ProductShape> yardstick_shapes(Sizes sizes) {
  std::vector<ProductShape> all;
  const auto add = [&](const ProductShape& s) {
    const bool there = std::any_of(all.begin(), all.end(), [&](const ProductShape& o) {
      return o.m == s.m && o.n == s.n && o.k == s.k;
    });
    if (!there) all.push_back(s);
  };
  for (const UpdateSize& u : update_sizes(sizes, false)) add(update_yardstick(u));
  add(update_yardstick(train_update(sizes)));
  for (const PopulationSize& p : population_sizes(sizes, false)) {
    add(update_yardstick({p.hidden, p.batch}));
  }
  for (const UpdateSize& u : small_batch_sizes(sizes, false)) add(update_yardstick(u));
  for (const RolloutSize& r : rollout_sizes(sizes, false)) add(rollout_yardstick(r.hidden));
  return all;
}

}  // namespace pendula
