// Random configs to JSON and back.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>

#include "host/config_io.h"
#include "host/config_table.h"
#include "host/environments.h"

namespace pendula {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

// A random value of the key; the whole range, its ends more often than chance.
json random_value(const KeySpec& key, std::mt19937_64& random) {
  const auto pick = [&](size_t n) { return static_cast<size_t>(random() % n); };
  const auto uniform = [&] { return std::uniform_real_distribution<double>(0, 1)(random); };
  const auto integer = [&] {
    const double span = std::exp(uniform() * std::log(key.range.max - key.range.min + 1)) - 1;
    return static_cast<int64_t>(key.range.min + std::floor(span));
  };
  if (key.nullable && pick(3) == 0) return nullptr;
  switch (key.type) {
    case KeyType::kInteger:
      return integer();
    case KeyType::kSeed:
      return pick(4) == 0 ? ~uint64_t{0} - pick(3) : random();
    case KeyType::kNumber: {
      const double min = std::max(key.range.min, -1e6), max = std::min(key.range.max, 1e6);
      const double value = min + (max - min) * uniform();
      return key.range.contains(value) ? value : (min + max) / 2;
    }
    case KeyType::kWord:
      return key.words[pick(key.words.size())];
    case KeyType::kWordList: {
      json list = json::array();
      for (const std::string& word : key.words) {
        if (pick(2) == 0) list.push_back(word);
      }
      return list;
    }
    case KeyType::kText:
      if (key.path == "/device") return "cuda:" + std::to_string(pick(1000));
      return "run-" + std::to_string(random());
    case KeyType::kIntegerList: {
      json list = json::array();
      for (size_t i = pick(static_cast<size_t>(key.max_items) + 1); i > 0; --i) {
        list.push_back(integer());
      }
      return list;
    }
    case KeyType::kObject:
      return {{"seeds", random()}, {"list", {uniform(), nullptr, "\"x\n"}}};
  }
  return nullptr;
}

TEST(ConfigRoundTrip, RandomConfigsGoThereAndBackExactly) {
  std::mt19937_64 random(20240229);
  int good = 0;
  for (int round = 0; round < 2000; ++round) {
    const EnvironmentInfo& env = environments()[random() % environments().size()];
    Config config = parse_config("{\"env\": {\"id\": \"" + env.id + "\"}}", "f");
    for (const KeySpec& key : config_keys(&env)) {
      if (key.path != "/env/id") key.set(config, random_value(key, random));
    }
    // Keep the relations; every value is in its range already.
    config.rollout.length = 1 + config.rollout.length % 16;
    config.env.num_envs = 1 + config.env.num_envs % 4096;
    config.replay.capacity += 2 * config.rollout.length * config.env.num_envs;
    config.replay.warmup_steps = 1;
    config.total_timesteps = 1000000 + config.total_timesteps % 1000000;
    config.ddpg.updates_per_step = std::clamp(config.ddpg.updates_per_step, 0.01, 15.0);
    config.agents = 1 + config.agents % 4;
    if (config.agents == 1) config.population.pbt.interval = 0;
    config.seed -= std::min<uint64_t>(config.seed, 4);
    config.noise.decay_steps += 1;
    if (config.env.num_envs == 1) config.noise.sigma_ladder = 1.0;
    config.noise.ou_theta /= 1e6;  // times ou_dt at most 1
    if (config.replay.capacity > 1000000000000) config.replay.capacity = 1000000000000;
    if (config.noise.decay_steps > 1000000000000000) config.noise.decay_steps = 1;
    const ordered_json written = to_json(config);
    const Config again = parse_config(written.dump(2), "f");
    ASSERT_EQ(to_json(again).dump(), written.dump());
    EXPECT_TRUE(config_differences(config, again).empty());
    EXPECT_EQ(config.seed, again.seed);
    EXPECT_EQ(config.ddpg.gamma, again.ddpg.gamma);  // the same double
    EXPECT_EQ(config.env.params, again.env.params);
    ++good;
  }
  EXPECT_EQ(good, 2000);
}

TEST(ConfigRoundTrip, TheJsonHasEveryKeyInTheOrderOfTheTable) {
  const ordered_json written = to_json(parse_config("{}", "f"));
  std::vector<std::string> paths;
  for (const auto& [name, value] : written.items()) {
    if (!value.is_object() || name == "result") {
      paths.push_back("/" + name);
      continue;
    }
    for (const auto& [inner, below] : value.items()) {
      const std::string path = "/" + name + "/" + inner;
      if (!below.is_object()) {
        paths.push_back(path);
        continue;
      }
      for (const auto& [key, unused] : below.items()) paths.push_back(path + "/" + key);
    }
  }
  std::vector<std::string> expected;
  for (const KeySpec& key : config_keys(&environments().front())) expected.push_back(key.path);
  EXPECT_EQ(paths, expected);
}

}  // namespace
}  // namespace pendula
