// The choices of a config that the programs act on.
#pragma once

#include <cstdint>

namespace pendula {

enum class Activation : int32_t { kRelu, kTanh, kSilu };  // "relu", "tanh", "silu"
enum class Init : int32_t { kTorch, kPaper };             // "torch", "paper"
enum class Loss : int32_t { kMse, kHuber };               // "mse", "huber" (delta = 1)
enum class NoiseType : int32_t { kGaussian, kOu };        // "gaussian", "ou"

}  // namespace pendula
