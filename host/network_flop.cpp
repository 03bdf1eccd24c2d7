#include "host/network_flop.h"

#include <algorithm>

namespace pendula {

std::string network_name(const std::vector<int64_t>& hidden) {
  if (hidden.empty()) return "none";
  const bool equal =
      std::all_of(hidden.begin(), hidden.end(), [&](int64_t h) { return h == hidden.front(); });
  if (equal) return std::to_string(hidden.size()) + "x" + std::to_string(hidden.front());
  std::string name;
  for (const int64_t h : hidden) name += (name.empty() ? "" : "-") + std::to_string(h);
  return name;
}

std::vector<int64_t> layer_sizes(int64_t inputs, const std::vector<int64_t>& hidden,
                                 int64_t outputs) {
  std::vector<int64_t> sizes{inputs};
  sizes.insert(sizes.end(), hidden.begin(), hidden.end());
  sizes.push_back(outputs);
  return sizes;
}

double forward_flop(const std::vector<int64_t>& sizes) {
  double flop = 0.0;
  for (size_t i = 0; i + 1 < sizes.size(); ++i) {
    flop += 2.0 * static_cast<double>(sizes[i]) * static_cast<double>(sizes[i + 1]);
  }
  return flop;
}

double update_flop(int64_t obs_dim, int64_t action_dim, const std::vector<int64_t>& actor_hidden,
                   const std::vector<int64_t>& critic_hidden) {
  const std::vector<int64_t> actor = layer_sizes(obs_dim, actor_hidden, action_dim);
  const std::vector<int64_t> critic = layer_sizes(obs_dim + action_dim, critic_hidden, 1);
  const auto first_layer = [](const std::vector<int64_t>& sizes) {
    return forward_flop({sizes[0], sizes[1]});
  };
  return 4.0 * forward_flop(actor) + 6.0 * forward_flop(critic) - first_layer(actor) -
         2.0 * first_layer(critic) +
         2.0 * static_cast<double>(action_dim) * static_cast<double>(critic[1]);
}

}  // namespace pendula
