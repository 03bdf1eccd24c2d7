// The tuned block plan (kernels/tile_trainer.h) against the CPU, for each kind of GPU: gradients,
// by Adam's first moments after one update, and 100 updates; any batch and width; the options of
// the algorithm; and an agent of a population against the run of that agent alone, bit for bit.
#include "tests/cuda/training_parity.h"
#include "tests/variants.h"

namespace pendula {
namespace {

#if defined(PENDULA_ALL_TILES)
constexpr int kKinds[] = {90, 80, 120};
#else
constexpr int kKinds[] = {0};
#endif

Config tile_config(int64_t hidden, int64_t batch) { return tuned_config("block", hidden, batch); }

class Tiles : public testing::TestWithParam<int> {};
INSTANTIATE_TEST_SUITE_P(Kinds, Tiles, testing::ValuesIn(kKinds));

TEST_P(Tiles, TrainAsTheCpuDoesWithAnyBatch) {
  const bool first = GetParam() == kKinds[0];
  for (const int64_t batch :
       first ? std::vector<int64_t>{1, 31, 100, 128, 256} : std::vector<int64_t>{31, 256}) {
    SCOPED_TRACE(batch);
    expect_cpus_training(tile_config(64, batch), GetParam());
  }
}

TEST_P(Tiles, TrainAsTheCpuDoesWithAnyWidth) {
  for (const int64_t hidden : {1, 17}) {
    SCOPED_TRACE(hidden);
    expect_cpus_training(tile_config(hidden, 100), GetParam());
  }
  Config c = tile_config(64, 31);
  c.actor.hidden = {24, 33};
  c.critic.hidden = {50, 7};
  expect_cpus_training(c, GetParam());
}

TEST_P(Tiles, EachOptionOfTheAlgorithm) {
  Config c = tile_config(32, 64);
  c.actor.activation = c.critic.activation = Activation::kTanh;
  use_each_option(c);
  expect_cpus_training(c, GetParam());
}

TEST_P(Tiles, AnAgentOfAPopulationHasTheBitsThatItHasAlone) {
  for (const int64_t agents : {2, 7, 133}) {
    if (agents == 133 && GetParam() != kKinds[0]) continue;  // the turns are the same code
    Config c = tile_config(8, 8);
    c.agents = agents;
    c.ddpg.updates_per_step = 0.25;
    expect_bits_of_agents_alone(c, GetParam(), agents == 133 ? 18 : 24);
  }
}

TEST_P(Tiles, WhereALaunchIsCutNeverChangesABit) {
  expect_cuts_change_no_bit(tile_config(16, 40), GetParam());
}

TEST(Tile, GoesOnFromTheCpu) { expect_to_go_on_from_the_cpu(tile_config(16, 40), kKinds[0]); }

TEST(Tile, ANanIsNamed) { expect_a_nan_to_be_named(tile_config(16, 40), kKinds[0]); }

class TilesOf : public testing::TestWithParam<Variant> {};
INSTANTIATE_TEST_SUITE_P(Variants, TilesOf, testing::ValuesIn(kVariants),
                         [](const auto& info) { return std::string(info.param.name); });

TEST_P(TilesOf, TrainAsTheCpuDoes) {
  Config c = tile_config(20, 48);
  // Smooth: in so narrow a network one relu that tf32 switches shows in a gradient.
  c.actor.activation = c.critic.activation = Activation::kTanh;
  GetParam().apply(c);
  if (c.rollout.policy_lag != 0) c.rollout.policy_lag = 0;  // acts with other parameters: no tiles
  expect_cpus_training(c, kKinds[0]);
}

}  // namespace
}  // namespace pendula
