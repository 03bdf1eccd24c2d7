// `pendula play`: the CSV against the equations of Pendulum-v1, written down here again in double.
#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <sstream>

#include "tests/cli_testing.h"
#include "tests/contains.h"

namespace pendula {
namespace {

namespace fs = std::filesystem;

using CliPlayTest = CliTest;

struct Row {
  int64_t t, episode;
  double theta, theta_dot, cos_theta, sin_theta, obs_2, torque, reward;
  int terminated, truncated;
};

// The rows of a CSV, whose header and number of digits must be those of docs and design.
std::vector<Row> parse(const std::string& csv) {
  std::vector<Row> rows;
  std::istringstream lines(csv);
  std::string line;
  std::getline(lines, line);
  EXPECT_EQ(line,
            "t,episode,state_0,state_1,obs_0,obs_1,obs_2,action_0,reward,terminated,truncated");
  while (std::getline(lines, line)) {
    std::vector<std::string> cells;
    std::istringstream stream(line);
    for (std::string cell; std::getline(stream, cell, ',');) cells.push_back(cell);
    EXPECT_EQ(cells.size(), 11u) << line;
    if (cells.size() != 11) return rows;
    double x[11];
    for (size_t i = 0; i < 11; ++i) {
      char* end = nullptr;
      x[i] = std::strtod(cells[i].c_str(), &end);
      EXPECT_EQ(*end, '\0') << cells[i];
    }
    for (size_t i = 2; i < 9; ++i) {  // as many digits as tell any two floats apart
      char expected[32];
      std::snprintf(expected, sizeof expected, "%.9g",
                    static_cast<double>(std::strtof(cells[i].c_str(), nullptr)));
      EXPECT_EQ(cells[i], expected);
    }
    rows.push_back({static_cast<int64_t>(x[0]), static_cast<int64_t>(x[1]), x[2], x[3], x[4], x[5],
                    x[6], x[7], x[8], static_cast<int>(x[9]), static_cast<int>(x[10])});
  }
  return rows;
}

// Gymnasium's step. The angle is compared as the environment has it, not wrapped.
void expect_pendulum(const Row& now, const Row& next) {
  const double pi = std::acos(-1.0);
  const double u = std::clamp(now.torque, -2.0, 2.0);
  const double speed =
      std::clamp(now.theta_dot + (3 * 10.0 / 2 * std::sin(now.theta) + 3 * u) * 0.05, -8.0, 8.0);
  EXPECT_NEAR(next.theta_dot, speed, 1e-5);
  EXPECT_NEAR(next.theta, now.theta + speed * 0.05, 1e-5);
  const double angle = now.theta - 2 * pi * std::floor((now.theta + pi) / (2 * pi));
  EXPECT_NEAR(now.reward, -(angle * angle + 0.1 * now.theta_dot * now.theta_dot + 0.001 * u * u),
              1e-4);
}

// Episodes of `steps` steps, in order, truncated at the last one alone.
void expect_episodes(const std::vector<Row>& rows, int64_t episodes, int64_t steps) {
  ASSERT_EQ(rows.size(), static_cast<size_t>(episodes * steps));
  for (size_t i = 0; i < rows.size(); ++i) {
    const Row& row = rows[i];
    EXPECT_EQ(row.episode, static_cast<int64_t>(i) / steps);
    EXPECT_EQ(row.t, static_cast<int64_t>(i) % steps);
    EXPECT_EQ(row.terminated, 0);
    EXPECT_EQ(row.truncated, row.t == steps - 1);
    EXPECT_NEAR(row.cos_theta, std::cos(row.theta), 1e-6);
    EXPECT_NEAR(row.sin_theta, std::sin(row.theta), 1e-6);
    EXPECT_EQ(row.obs_2, row.theta_dot);
    EXPECT_LE(std::abs(row.torque), 2.0);
    if (!row.truncated) expect_pendulum(row, rows[i + 1]);
  }
}

TEST_F(CliPlayTest, CsvFollowsTheEquations) {
  train({"total_timesteps=8000"});
  const Output o = run({"play", "latest", "--episodes", "70", "--csv", "steps.csv", "--json"});
  ASSERT_EQ(o.code, 0) << o.err;
  const std::vector<Row> rows = parse(slurp(path("steps.csv")));
  expect_episodes(rows, 70, 200);
  const auto result = nlohmann::json::parse(o.out);
  double sum = 0, all = 0;
  for (const Row& row : rows) {
    sum += row.reward;
    all += row.reward;
    if (!row.truncated) continue;
    EXPECT_NEAR(result["returns"][static_cast<size_t>(row.episode)], sum, 1e-2);
    sum = 0;
  }
  EXPECT_NEAR(result["rollout/ep_rew_mean"], all / 70, 1e-2);
  EXPECT_EQ(result["policy"], "actor");
  EXPECT_EQ(result["lengths"][69], 200);
  // The first 32 episodes are those of the final evaluation.
  const auto evaluated = read_json(latest() / "result.json");
  double mean = 0;
  for (size_t i = 0; i < 32; ++i) mean += result["returns"][i].get<double>() / 32;
  EXPECT_NEAR(mean, evaluated["eval/mean_reward"], 1e-2);
}

TEST_F(CliPlayTest, ZeroAndRandomNeedNoRun) {
  const Output zero = run({"play", "pendulum", "--agent", "zero", "--csv", "-"});
  ASSERT_EQ(zero.code, 0) << zero.err;
  const auto still = parse(zero.out);
  expect_episodes(still, 1, 200);
  for (const Row& row : still) EXPECT_EQ(row.torque, 0.0);
  EXPECT_TRUE(contains(zero.err, {"episode 0: return -", "mean return -"}));

  const Output random =
      run({"play", "pendulum", "--agent", "random", "--csv", "-", "--episodes", "20"});
  const auto moved = parse(random.out);
  expect_episodes(moved, 20, 200);
  double mean = 0, square = 0;
  for (const Row& row : moved) {
    mean += row.torque / 4000;
    square += row.torque * row.torque / 4000;
  }
  EXPECT_NEAR(mean, 0.0, 0.1);          // uniform in [-2, 2]: 5 standard errors
  EXPECT_NEAR(square, 4.0 / 3.0, 0.1);  // the same
  EXPECT_EQ(moved[0].theta, still[0].theta) << "the seed alone decides where episodes begin";
  EXPECT_EQ(run({"play", "pendulum", "--agent", "random", "--csv", "-", "--episodes", "20"}).out,
            random.out);
  EXPECT_NE(run({"play", "pendulum", "--agent", "zero", "--csv", "-", "--seed", "2"}).out,
            zero.out);
}

TEST_F(CliPlayTest, EveryAgentOfAPopulationPlays) {
  const fs::path run_dir = train({"--seeds", "3"});
  const auto rows = read_json(run_dir / "result.json")["agents"];
  ASSERT_EQ(rows.size(), 3u);
  std::vector<nlohmann::json> seen;
  for (size_t k = 0; k < 3; ++k) {
    const std::string agent = std::to_string(k);
    const Output o = run({"play", "latest", "--agent", agent, "--episodes", "32", "--json"});
    ASSERT_EQ(o.code, 0) << o.err;
    EXPECT_EQ(o.err, "") << "a note for whom the number was given";
    const auto played = nlohmann::json::parse(o.out);
    EXPECT_EQ(played["agent"], k);
    EXPECT_EQ(played["policy"], "actor");
    // The episodes of the final evaluation. Steps of a tile are summed here in double, there in
    // float: 200 rewards of up to 16.3.
    EXPECT_NEAR(played["rollout/ep_rew_mean"], rows[k]["eval/mean_reward"], 1e-2);
    train({"seed=" + std::to_string(1 + k), "--run-dir", "alone"});
    const Output alone =
        run({"play", "latest", "--run-dir", "alone", "--agent", "0", "--episodes", "32", "--json"});
    EXPECT_EQ(nlohmann::json::parse(alone.out)["returns"], played["returns"]) << agent;
    seen.push_back(played["returns"]);
  }
  EXPECT_NE(seen[0], seen[1]);
  EXPECT_NE(seen[1], seen[2]);
  const Output first = run({"play", "latest", "--episodes", "32", "--json"});
  EXPECT_EQ(nlohmann::json::parse(first.out)["returns"], seen[0]) << "agent 0 is the default";
}

TEST_F(CliPlayTest, AnAgentThatIsNotThereIsNamed) {
  train({"--seeds", "3"});
  const auto expect_refused = [&](const std::string& target, const std::string& agent,
                                  std::initializer_list<std::string> words) {
    const Output o = run({"play", target, "--agent", agent});
    EXPECT_EQ(o.code, 2) << agent;
    EXPECT_EQ(o.out, "");
    EXPECT_TRUE(contains(o.err, words)) << agent;
  };
  expect_refused("latest", "3", {"--agent 3", "latest has 3 agents, 0 to 2", "agent 0"});
  expect_refused("latest", "-1", {"--agent -1", "0 to 2"});
  expect_refused("latest", "1.5", {"zero, random, or the number", "\"1.5\""});
  expect_refused("latest", "99999999999999999999", {"zero, random, or the number"});
  expect_refused("pendulum", "1", {"\"pendulum\" is an environment", "--agent zero"});
  train({});
  expect_refused("latest", "1", {"latest has one agent, number 0"});
}

TEST_F(CliPlayTest, ARunsOwnEnvironmentAndLimitAreUsed) {
  train({"env.max_episode_steps=50", "env.max_torque=0.5", "--seeds", "2"});
  const Output o = run({"play", "latest", "--agent", "random", "--csv", "-", "--episodes", "3"});
  ASSERT_EQ(o.code, 0) << o.err;
  const auto rows = parse(o.out);
  ASSERT_EQ(rows.size(), 150u);
  EXPECT_EQ(rows[49].truncated, 1);
  for (const Row& row : rows) EXPECT_LE(std::abs(row.torque), 0.5);
  EXPECT_EQ(o.err.find("note:"), std::string::npos) << o.err;  // no agent of the run plays
  const Output best = run({"play", "latest@best"});
  EXPECT_TRUE(contains(best.out, {"episode 0: return -", ", 50 steps"}));
  EXPECT_TRUE(contains(best.err, {"note: agent 0 of the run's 2 plays"}));
}

}  // namespace
}  // namespace pendula
