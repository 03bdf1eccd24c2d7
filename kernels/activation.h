// Hidden activations and their slopes.
#pragma once

#include "kernels/choices.h"
#include "kernels/math.h"

namespace PENDULA_PROGRAMS {

// tanh and silu of z; slope: the derivative, where silu needs it later (it cannot be had from the
// value). Out of line, so that the epilogue of a matrix product stays small.
template <class V>
PENDULA_SHARED_FN V smooth_activation(Activation a, V z, V& slope) {
  if (a == Activation::kTanh) return tanh(z);
  const V one(Scalar<V>(1));
  const V s = sigmoid(z);
  slope = s * fma(z, one - s, one);
  return z * s;
}

// The slope of relu and tanh from the activation's value h.
template <class V>
PENDULA_FN V slope_from_value(Activation a, V h) {
  const V one(Scalar<V>(1));
  return a == Activation::kTanh ? one - h * h : as_real(h > V(Scalar<V>(0)), h);
}

}  // namespace PENDULA_PROGRAMS
