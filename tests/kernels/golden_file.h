// Reads the files of tests/golden/make_torch_golden.py.
#pragma once

#include <gtest/gtest.h>

#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "host/config.h"

#ifndef PENDULA_GOLDEN_DIR
#define PENDULA_GOLDEN_DIR "tests/golden"
#endif

namespace pendula {

class GoldenFile {
 public:
  explicit GoldenFile(const std::string& name) {
    const std::string path = std::string(PENDULA_GOLDEN_DIR) + "/" + name + ".safetensors";
    std::ifstream file(path, std::ios::binary);
    uint64_t length = 0;
    file.read(reinterpret_cast<char*>(&length), sizeof length);
    std::string header(file ? length : 0, ' ');
    file.read(header.data(), static_cast<std::streamsize>(header.size()));
    if (!file) throw std::runtime_error("cannot read " + path);
    header_ = nlohmann::json::parse(header);
    data_.assign(std::istreambuf_iterator<char>(file), {});
  }

  bool has(const std::string& name) const { return header_.contains(name); }
  bool is_float(const std::string& name) const { return header_.at(name).at("dtype") == "F32"; }
  uint64_t number(const char* key) const {
    return std::stoull(header_.at("__metadata__").at(key).get<std::string>());
  }

  std::vector<double> tensor(const std::string& name) const {
    const auto& entry = header_.at(name);
    const size_t begin = entry.at("data_offsets")[0], end = entry.at("data_offsets")[1];
    if (end > data_.size()) throw std::runtime_error(name + " lies outside of the file");
    return is_float(name) ? read<float>(begin, end) : read<double>(begin, end);
  }

  // The hyperparameters, on top of our defaults.
  Config config() const {
    const auto j =
        nlohmann::json::parse(header_.at("__metadata__").at("config").get<std::string>());
    Config c;
    c.seed = j.at("seed");
    c.env.num_envs = j.at("env").at("num_envs");
    c.env.max_episode_steps = 200;
    c.replay.capacity = j.at("replay").at("capacity");
    const auto network = [](const nlohmann::json& from, NetworkConfig& to) {
      to.hidden = from.at("hidden").get<std::vector<int64_t>>();
      const std::string a = from.at("activation");
      to.activation = a == "relu"   ? Activation::kRelu
                      : a == "tanh" ? Activation::kTanh
                                    : Activation::kSilu;
    };
    network(j.at("actor"), c.actor);
    network(j.at("critic"), c.critic);
    const auto& d = j.at("ddpg");
    c.ddpg.gamma = d.at("gamma");
    c.ddpg.tau = d.at("tau");
    c.ddpg.target_update_interval = d.at("target_update_interval");
    c.ddpg.batch_size = d.at("batch_size");
    c.ddpg.loss = d.at("loss") == "mse" ? Loss::kMse : Loss::kHuber;
    c.ddpg.reward_scale = d.at("reward_scale");
    const auto& o = j.at("optimizer");
    c.optimizer.actor_lr = o.at("actor_lr");
    c.optimizer.critic_lr = o.at("critic_lr");
    c.optimizer.beta1 = o.at("beta1");
    c.optimizer.beta2 = o.at("beta2");
    c.optimizer.eps = o.at("eps");
    c.optimizer.weight_decay = o.at("weight_decay");
    if (!o.at("max_grad_norm").is_null())
      c.optimizer.max_grad_norm = o.at("max_grad_norm").get<double>();
    return c;
  }

 private:
  template <class T>
  std::vector<double> read(size_t begin, size_t end) const {
    std::vector<T> values((end - begin) / sizeof(T));
    std::memcpy(values.data(), data_.data() + begin, end - begin);
    return std::vector<double>(values.begin(), values.end());
  }

  nlohmann::json header_;
  std::vector<char> data_;
};

}  // namespace pendula
