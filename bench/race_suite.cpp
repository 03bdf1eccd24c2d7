#include "bench/race_suite.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <thread>

#include "bench/network.h"
#include "bench/race.h"
#include "bench/sizes.h"
#include "bench/training_case.h"
#include "host/config_io.h"

namespace pendula {
namespace {

// A recipe is solved when 256 episodes' mean reaches the return, and 4,096 confirm it: the config's
// stop.eval_return; Pendulum's has none, and trains for all its steps.
constexpr double kPendulumSolved = -200.0;
constexpr int kEpisodes = 256, kFinalEpisodes = 4096;
constexpr int64_t kLooks = 200;  // evaluations over the config's whole length
constexpr int kSeeds = 20, kShortSeeds = 5;

struct Recipe {
  const char* name;
  const char* text;
};

Keys keys_of(const Target& t, const std::string& name, const Config& c, int threads) {
  Keys keys;
  keys["suite"] = "race";
  keys["case"] = name;
  keys["backend"] = t.backend;
  keys["network"] = network_name(c.actor.hidden);
  keys["batch"] = c.ddpg.batch_size;
  keys["num_envs"] = c.env.num_envs;
  keys["updates_per_step"] = c.ddpg.updates_per_step;
  if (t.backend == "cpu") keys["threads"] = threads;
  return keys;
}

// The fixed work as a config.
nlohmann::ordered_json fixed_config() {
  const auto all = nlohmann::ordered_json::parse(race_configs.workload);
  const auto& w = all.at("fixed");
  nlohmann::ordered_json c;
  c["name"] = "fixed";
  c["total_timesteps"] = w.at("steps");
  c["env"] = {{"id", "pendulum"}, {"num_envs", w.at("num_envs")}};
  for (const char* network : {"actor", "critic"}) {
    c[network] = {{"hidden", w.at("hidden")}, {"activation", w.at("activation")}};
  }
  c["ddpg"] = {{"gamma", w.at("gamma")},
               {"tau", w.at("tau")},
               {"batch_size", w.at("batch")},
               {"updates_per_step", w.at("updates_per_step")}};
  c["optimizer"] = {{"actor_lr", w.at("actor_lr")}, {"critic_lr", w.at("critic_lr")}};
  c["noise"] = {{"type", "gaussian"}, {"sigma", w.at("sigma")}};
  c["replay"] = {{"capacity", w.at("capacity")}, {"warmup_steps", w.at("warmup_steps")}};
  return c;
}

Case make_case(const Target& t, const std::string& name, const Config& config, Race race,
               int threads, const std::vector<std::string>& metrics) {
  Case c;
  c.keys = keys_of(t, name, config, threads);
  for (const std::string& metric : metrics) c.quantities.emplace_back().metric = metric;
  c.group = "race " + name;
  c.seeds = t.sizes == Sizes::kFull ? kSeeds : t.sizes == Sizes::kShort ? kShortSeeds : 1;
  race.device = t.backend == "cuda" ? fmt::format("cuda:{}", t.device) : "cpu";
  race.simd = t.backend == "cuda" ? "auto" : t.simd;
  const bool must_solve = metrics.front() == "seconds_until_solved";
  c.run_seed = [race = std::move(race), must_solve](
                   int64_t seed, const std::atomic<bool>& stop) -> std::optional<SeedRun> {
    const auto r = run_race(race, seed, stop);
    if (!r) return std::nullopt;
    const std::map<std::string, double> values = {{"seconds", r->training - r->evaluation},
                                                  {"seconds_from_start", r->wall - r->evaluation},
                                                  {"seconds_until_solved", r->wall - r->evaluation},
                                                  {"seconds_until_solved_with_evaluation", r->wall},
                                                  {"steps_until_solved", r->steps}};
    const bool solved = must_solve ? r->stopped_by == "stop.eval_return" : std::isfinite(r->wall);
    return SeedRun{values, r->final_return, solved};
  };
  return c;
}

Case fixed_case(const Target& t, const Config& config, const std::string& text, int threads) {
  Race race;
  race.config = text;
  race.overrides = {"eval.interval=0", fmt::format("eval.final_episodes={}", kFinalEpisodes)};
  if (t.sizes == Sizes::kTiny) race.overrides.push_back("total_timesteps=300");
  race.threads = threads;
  Case c = make_case(t, "fixed", config, race, threads, {"seconds", "seconds_from_start"});
  // The arithmetic of the updates alone.
  const double updates = static_cast<double>(config.total_timesteps - config.replay.warmup_steps) *
                         config.ddpg.updates_per_step;
  const ProductShape shape = update_yardstick({config.actor.hidden, config.ddpg.batch_size});
  c.quantities.front().caps = {product_ceiling(
      t, shape, threads, t.backend == "cuda" ? "tf32" : "fp32", updates * batch_flop(config))};
  return c;
}

Case recipe_case(const Target& t, const Recipe& recipe, int threads) {
  const Config config = parse_config(recipe.text, recipe.name);
  Race race;
  race.config = recipe.text;
  race.overrides = {
      fmt::format("stop.eval_return={}", config.stop.eval_return.value_or(kPendulumSolved)),
      fmt::format("eval.episodes={}", kEpisodes),
      fmt::format("eval.final_episodes={}", kFinalEpisodes),
      fmt::format("eval.interval={}", std::max<int64_t>(1, config.total_timesteps / kLooks))};
  if (t.sizes == Sizes::kTiny) {
    race.overrides.push_back(fmt::format("total_timesteps={}", config.replay.warmup_steps + 256));
  }
  // All cores: as many threads as are useful, as a user gets.
  const bool all = threads == static_cast<int>(std::thread::hardware_concurrency());
  race.threads = all ? 0 : threads;
  return make_case(
      t, recipe.name, config, race, threads,
      {"seconds_until_solved", "seconds_until_solved_with_evaluation", "steps_until_solved"});
}

}  // namespace

std::vector<Case> race_cases(const Target& t) {
  const std::vector<int> threads = t.backend == "cpu" ? t.threads : std::vector<int>{0};
  const std::string fixed = fixed_config().dump();
  const Config config = parse_config(fixed, "bench/peers/workload.json");
  std::vector<Case> cases;
  for (const int n : threads) cases.push_back(fixed_case(t, config, fixed, n));
  std::vector<Recipe> recipes = {{"pendulum", race_configs.pendulum}};
  if (t.sizes != Sizes::kShort) {  // minutes
    recipes.push_back({"cartpole", race_configs.cartpole});
    recipes.push_back({"cartpole-swingup", race_configs.cartpole_swingup});
  }
  for (const Recipe& recipe : recipes) {
    cases.push_back(recipe_case(t, recipe, *std::max_element(threads.begin(), threads.end())));
  }
  return cases;
}

}  // namespace pendula
