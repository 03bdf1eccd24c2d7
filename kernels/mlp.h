// A multi-layer perceptron on one tile of up to kRows rows: h(l+1) = act(W(l) h(l) + b(l)), and a
// linear head, whose output goes to an epilogue (tanh of the actor, TD target, ...).
//
// Buffers are feature-major: element (feature, row) at [feature * kLd + row], so that rows of the
// batch lie in registers or in neighbouring threads. Backward overwrites each hidden activation
// with its delta, dLoss/dz, and adds into (or, for a tile that is the first, overwrites) the
// gradient.
//
// rows: those that the products run over, at most kRows, as b.padded gives them. What lies in the
// rows behind the live ones must be finite, and its delta 0.
#pragma once

#include "kernels/activation.h"
#include "kernels/matrix.h"
#include "kernels/plan.h"

namespace PENDULA_PROGRAMS {

// What a forward pass leaves for backward.
template <class T>
struct Hidden {
  T* h[kMaxLayers];      // (size[l + 1], kLd): activation of hidden layer l
  T* slope[kMaxLayers];  // the same shape where the activation keeps its slope, else null
};

// Two buffers that take turns, for passes that leave nothing for backward.
template <class T>
struct Turns {
  T* h[2];  // (widest, kLd)
};
template <class T, class B>
PENDULA_FN Turns<T> allocate_turns(B& b, int widest) {
  T* first = b.template shared<T>(widest * B::kLd);
  return {{first, b.template shared<T>(widest * B::kLd)}};
}
template <class T>
PENDULA_FN Hidden<T> in_turns(const NetworkLayout& net, const Turns<T>& turns) {
  Hidden<T> s;
  for (int l = 0; l + 1 < net.layers; ++l) {
    s.h[l] = turns.h[l & 1];
    s.slope[l] = nullptr;
  }
  return s;
}

// Scratch for one forward pass. keep: every layer has its own buffer, for backward.
template <class T, class B>
PENDULA_FN Hidden<T> allocate_hidden(B& b, const NetworkLayout& net, bool keep) {
  if (!keep) return in_turns(net, allocate_turns<T>(b, net.widest));
  Hidden<T> s;
  for (int l = 0; l + 1 < net.layers; ++l) {
    s.h[l] = b.template shared<T>(net.size[l + 1] * B::kLd);
    const bool slopes = net.activation == Activation::kSilu;
    s.slope[l] = slopes ? b.template shared<T>(net.size[l + 1] * B::kLd) : nullptr;
  }
  return s;
}

// x: (size[0], kLd). Ends with a barrier.
template <class T, class B>
PENDULA_SHARED_FN void forward_hidden(B& b, const NetworkLayout& net, int rows, const T* params,
                                      const T* x, const Hidden<T>& s) {
  const Activation act = net.activation;
  for (int l = 0; l + 1 < net.layers; ++l) {
    const int in = net.size[l];
    const T* bias = params + net.bias[l];
    T* h = s.h[l];
    T* slope = s.slope[l];
    b.template gemm<T>(net.size[l + 1], rows, in, row_major(params + net.weight[l], in),
                       row_major(l == 0 ? x : s.h[l - 1], B::kLd),
                       [=](int m, int n, auto v) PENDULA_INLINE {
                         using V = decltype(v);
                         const V z = v + V(bias[m]);
                         const int at = m * B::kLd + n;
                         if (act == Activation::kRelu) {
                           store(h + at, select(V(T(0)) > z, V(T(0)), z));  // NaN stays NaN
                           return;
                         }
                         V d = z;
                         store(h + at, smooth_activation(act, z, d));
                         if (slope != nullptr) store(slope + at, d);
                       });
    b.sync();
  }
}

// The head: epilogue(output, row, value). In fp32 always. Ends without a barrier.
template <class T, class B, class E>
PENDULA_FN void forward_head(B& b, const NetworkLayout& net, int rows, const T* params, const T* x,
                             const Hidden<T>& s, E epilogue) {
  const int l = net.layers - 1;
  const int in = net.size[l];
  const T* bias = params + net.bias[l];
  b.template gemm_fp32<T>(net.size[l + 1], rows, in, row_major(params + net.weight[l], in),
                          row_major(l == 0 ? x : s.h[l - 1], B::kLd),
                          [=](int m, int n, auto v)
                              PENDULA_INLINE { epilogue(m, n, v + decltype(v)(bias[m])); });
}

// dL/dW and dL/db of layer l from its delta (size[l + 1], kLd) and its input. ones: `rows` of them.
template <class T, class B>
PENDULA_SHARED_FN void layer_gradient(B& b, const NetworkLayout& net, int rows, int l,
                                      const T* delta, const T* in, const T* ones, T* grad,
                                      bool first) {
  const int K = net.size[l];
  T* gw = grad + net.weight[l];
  T* gb = grad + net.bias[l];
  b.template gemm<T>(net.size[l + 1], K, rows, row_major(delta, B::kLd), transposed(in, B::kLd),
                     [=](int m, int n, auto v) PENDULA_INLINE {
                       T* g = gw + m * K + n;
                       store(g, first ? v : load_as<decltype(v)>(g) + v);
                     });
  b.template gemm_fp32<T>(net.size[l + 1], 1, rows, row_major(delta, B::kLd),
                          transposed(ones, B::kLd), [=](int m, int, auto v) PENDULA_INLINE {
                            store(gb + m, first ? v : load_as<decltype(v)>(gb + m) + v);
                          });
}

// The delta of a hidden layer, in place of its activation h: (W^T d) * slope. d: the next layer's
// delta (size[l + 1], kLd). Ends with a barrier.
template <class T, class B>
PENDULA_SHARED_FN void hidden_delta(B& b, const NetworkLayout& net, int rows, int l,
                                    const T* params, const T* d, T* h, const T* slope) {
  const Activation act = net.activation;
  const int width = net.size[l];
  b.template gemm<T>(width, rows, net.size[l + 1], transposed(params + net.weight[l], width),
                     row_major(d, B::kLd), [=](int m, int n, auto v) PENDULA_INLINE {
                       using V = decltype(v);
                       const int at = m * B::kLd + n;
                       const V ds = slope != nullptr ? load_as<V>(slope + at)
                                                     : slope_from_value(act, load_as<V>(h + at));
                       store(h + at, v * ds);
                     });
  b.sync();
}

// Backward pass from `delta`, dLoss/d(output) (size[layers], kLd). grad: the gradient's block, or
// null where only the input's gradient is wanted. Ends with a barrier; s.h[0] then holds the delta
// of the first layer.
template <class T, class B>
PENDULA_SHARED_FN void backward(B& b, const NetworkLayout& net, int rows, const T* params,
                                const T* x, const Hidden<T>& s, const T* delta, const T* ones,
                                T* grad, bool first) {
  for (int l = net.layers - 1; l >= 0; --l) {
    const T* d = l == net.layers - 1 ? delta : s.h[l];
    if (grad != nullptr) {
      layer_gradient(b, net, rows, l, d, l == 0 ? x : s.h[l - 1], ones, grad, first);
      b.sync();  // the activations that it read are overwritten next
    }
    if (l > 0) hidden_delta(b, net, rows, l, params, d, s.h[l - 1], s.slope[l - 1]);
  }
}

// dLoss/dx for the features begin <= f < end, after backward: epilogue(f - begin, row, value). Ends
// without a barrier.
template <class T, class B, class E>
PENDULA_FN void input_delta(B& b, const NetworkLayout& net, int rows, const T* params,
                            const Hidden<T>& s, const T* delta, int begin, int end, E epilogue) {
  const T* d = net.layers == 1 ? delta : s.h[0];
  b.template gemm_fp32<T>(end - begin, rows, net.size[1],
                          transposed(params + net.weight[0] + begin, net.size[0]),
                          row_major(d, B::kLd), epilogue);
}

}  // namespace PENDULA_PROGRAMS
