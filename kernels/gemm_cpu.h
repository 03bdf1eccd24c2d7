// Matrix products of the CPU backend: C(m, n) = sum over k of A(m, k) B(k, n), handed to an
// epilogue register by register. A is read one element at a time and broadcast, at any strides; B
// is read in registers along n. A B that lies contiguous in k (a weight gradient, which contracts
// over the rows of the batch) is transposed into scratch first, or multiplied by dot products where
// C is narrow.
//
// Order of every sum: k ascending (dot products: by lanes, then a tree over the lanes).
#pragma once

#include "kernels/matrix.h"

namespace pendula::inline PENDULA_LEVEL {

inline constexpr int kDotColumns = 4;  // up to so many rows or columns, dot products are cheaper

template <class T>
PENDULA_FN bool needs_transpose(int M, int N, const Matrix<T>& B) {
  return B.col != 1 && N > kDotColumns && M > kDotColumns;
}
template <class T>
PENDULA_FN int transpose_ld(int N) {
  constexpr int kPanel = 4 * kLanes<T>;
  return (N + kPanel - 1) / kPanel * kPanel + 16;
}
template <class T>
PENDULA_FN std::size_t transpose_bytes(int N, int K) {
  return static_cast<std::size_t>(K) * static_cast<std::size_t>(transpose_ld<T>(N)) * sizeof(T);
}

// One tile: MR rows of C, NV registers wide; `valid` columns of it are in C.
template <class T, int MR, int NV, class E>
PENDULA_FN void gemm_tile(int m0, int n0, int valid, int K, const T* __restrict a, int a_row,
                          int a_col, const T* __restrict b, int ldb, E& epilogue) {
  constexpr int W = kLanes<T>;
  Lanes<T> acc[MR][NV];
  PENDULA_UNROLL
  for (int i = 0; i < MR; ++i) {
    PENDULA_UNROLL
    for (int v = 0; v < NV; ++v) acc[i][v] = Lanes<T>(T(0));
  }
  for (int k = 0; k < K; ++k) {
    Lanes<T> x[NV];
    PENDULA_UNROLL
    for (int v = 0; v < NV; ++v) x[v] = load_lanes(b + static_cast<long>(k) * ldb + v * W);
    PENDULA_UNROLL
    for (int i = 0; i < MR; ++i) {
      const Lanes<T> w(a[static_cast<long>(i) * a_row + static_cast<long>(k) * a_col]);
      PENDULA_UNROLL
      for (int v = 0; v < NV; ++v) acc[i][v] = fma(w, x[v], acc[i][v]);
    }
  }
  PENDULA_UNROLL
  for (int i = 0; i < MR; ++i) {
    PENDULA_UNROLL
    for (int v = 0; v < NV; ++v) {
      const int n = v * W;
      if (n + W <= valid) {
        epilogue(m0 + i, n0 + n, acc[i][v]);
      } else {
        for (int j = 0; n + j < valid; ++j) epilogue(m0 + i, n0 + n + j, acc[i][v][j]);
      }
    }
  }
}

// All rows of C in tiles of six, the remainder in a smaller one; NV registers of columns.
template <class T, int NV, class E>
inline void gemm_panel(int M, int n0, int valid, int K, const Matrix<T>& A, const T* b, int ldb,
                       E& epilogue) {
  constexpr int MR = 6;
  int m = 0;
  for (; m + MR <= M; m += MR) {
    gemm_tile<T, MR, NV>(m, n0, valid, K, A.p + static_cast<long>(m) * A.row, A.row, A.col, b, ldb,
                         epilogue);
  }
  const T* a = A.p + static_cast<long>(m) * A.row;
  switch (M - m) {
    case 1:
      gemm_tile<T, 1, NV>(m, n0, valid, K, a, A.row, A.col, b, ldb, epilogue);
      break;
    case 2:
      gemm_tile<T, 2, NV>(m, n0, valid, K, a, A.row, A.col, b, ldb, epilogue);
      break;
    case 3:
      gemm_tile<T, 3, NV>(m, n0, valid, K, a, A.row, A.col, b, ldb, epilogue);
      break;
    case 4:
      gemm_tile<T, 4, NV>(m, n0, valid, K, a, A.row, A.col, b, ldb, epilogue);
      break;
    case 5:
      gemm_tile<T, 5, NV>(m, n0, valid, K, a, A.row, A.col, b, ldb, epilogue);
      break;
    default:
      break;
  }
}

// to(k, n) = from[n * ld + k] for n < N, k < K.
template <class T>
PENDULA_SHARED_FN void transpose(int N, int K, const T* from, int ld, T* to, int to_ld) {
  constexpr int kTile = 8;
  int n = 0;
  for (; n + kTile <= N; n += kTile) {
    for (int k = 0; k < K; ++k) {
      T* row = to + static_cast<long>(k) * to_ld + n;
      const T* column = from + static_cast<long>(n) * ld + k;
      for (int j = 0; j < kTile; ++j) row[j] = column[static_cast<long>(j) * ld];
    }
  }
  for (; n < N; ++n) {
    for (int k = 0; k < K; ++k) {
      to[static_cast<long>(k) * to_ld + n] = from[static_cast<long>(n) * ld + k];
    }
  }
}

template <class T>
PENDULA_FN T dot(int K, const T* a, int a_col, const T* b) {
  constexpr int W = kLanes<T>;
  T sum = T(0);
  int k = 0;
  if (a_col == 1) {
    Lanes<T> s(T(0));
    for (; k + W <= K; k += W) s = fma(load_lanes(a + k), load_lanes(b + k), s);
    for (int d = W / 2; d > 0; d /= 2) {
      for (int j = 0; j < d; ++j) s.v[j] += s.v[j + d];
    }
    sum = s[0];
  }
  for (; k < K; ++k) sum = fma(a[static_cast<long>(k) * a_col], b[k], sum);
  return sum;
}

template <class T, class E>
inline void gemm_dot(int M, int N, int K, const Matrix<T>& A, const Matrix<T>& B, E& epilogue) {
  for (int m = 0; m < M; ++m) {
    for (int n = 0; n < N; ++n) {
      epilogue(
          m, n,
          dot(K, A.p + static_cast<long>(m) * A.row, A.col, B.p + static_cast<long>(n) * B.col));
    }
  }
}

// The general product. transposed_b: room for transpose_bytes where needs_transpose, else null.
template <class T, class E>
inline void gemm_wide(int M, int N, int K, Matrix<T> A, Matrix<T> B, T* transposed_b, E epilogue) {
  constexpr int W = kLanes<T>;
  if (B.col != 1 && !needs_transpose(M, N, B)) {
    gemm_dot(M, N, K, A, B, epilogue);
    return;
  }
  const T* b = B.p;
  int ldb = B.row;
  if (transposed_b != nullptr) {
    ldb = transpose_ld<T>(N);
    transpose(N, K, B.p, B.col, transposed_b, ldb);
    b = transposed_b;
  }
  int n = 0;
  for (; n + W < N; n += 2 * W) {
    const int valid = N - n < 2 * W ? N - n : 2 * W;
    gemm_panel<T, 2>(M, n, valid, K, A, b + n, ldb, epilogue);
  }
  if (n < N) gemm_panel<T, 1>(M, n, N - n, K, A, b + n, ldb, epilogue);
}

// A product with few rows (a head), or with one column (a bias's gradient).
template <class T, class E>
inline void gemm_narrow(int M, int N, int K, Matrix<T> A, Matrix<T> B, E epilogue) {
  constexpr int W = kLanes<T>;
  constexpr int NV = 4;  // enough sums in flight
  if (B.col != 1) {
    gemm_dot(M, N, K, A, B, epilogue);
    return;
  }
  for (int m = 0; m < M; ++m) {
    for (int n = 0; n < N; n += NV * W) {
      const int valid = N - n < NV * W ? N - n : NV * W;
      gemm_tile<T, 1, NV>(m, n, valid, K, A.p + static_cast<long>(m) * A.row, A.row, A.col, B.p + n,
                          B.row, epilogue);
    }
  }
}

}  // namespace pendula::inline PENDULA_LEVEL
