// Matrix products of the CPU backend: C(m, n) = sum over k of A(m, k) B(k, n), handed to an
// epilogue register by register. A is read one element at a time and broadcast, at any strides; B
// is read in registers along n. A B that lies contiguous in k (a weight gradient, which contracts
// over the rows of the batch) is transposed into scratch first, or multiplied by dot products where
// C is narrow. Of a deep product the columns of B that a tile reads are packed first: where they
// lie apart they fill the innermost cache, and A has no room.
//
// A tile of C is held in registers: kTileRows[NV] rows, NV registers wide, so that there are enough
// sums in flight to hide the latency of a multiply-add, and few loads per multiply-add.
//
// Order of every sum: k ascending (dot products: by lanes, then by halves over the lanes).
#pragma once

#include "kernels/matrix.h"

namespace PENDULA_PROGRAMS {

inline constexpr int kDotColumns = 4;  // up to so many rows or columns, dot products are cheaper

// Widest tile, in registers, and the rows of a tile of each width. 32 vector registers with
// AVX-512, 16 before; without fused multiply-add each product needs one for itself.
#if defined(__AVX512F__)
inline constexpr int kTileWidth = 4;
inline constexpr int kTileRows[] = {0, 8, 8, 8, 6};
#elif PENDULA_FUSED
inline constexpr int kTileWidth = 3;
inline constexpr int kTileRows[] = {0, 8, 6, 4};
#else
inline constexpr int kTileWidth = 2;
inline constexpr int kTileRows[] = {0, 6, 4};
#endif

template <class T>
PENDULA_FN bool needs_transpose(int M, int N, const Matrix<T>& B) {
  return B.col != 1 && N > kDotColumns && M > kDotColumns;
}
// Whether columns of B are packed: from so deep and so high a product on that it pays.
template <class T>
PENDULA_FN bool needs_packing(int M, int K, const Matrix<T>& B) {
  return B.col == 1 && K > 128 && M >= 32;
}
template <class T>
PENDULA_FN std::size_t packing_bytes(int K) {
  return static_cast<std::size_t>(K) * kTileWidth * kLanes<T> * sizeof(T);
}
template <class T>
PENDULA_FN int transpose_ld(int N) {
  constexpr int W = kLanes<T>;
  return (N + W - 1) / W * W + 16;
}
template <class T>
PENDULA_FN std::size_t transpose_bytes(int N, int K) {
  constexpr int W = kLanes<T>;  // whole squares are written
  return static_cast<std::size_t>((K + W - 1) / W * W) *
         static_cast<std::size_t>(transpose_ld<T>(N)) * sizeof(T);
}

// One tile; `valid` columns of it are in C. `a` and `b`: where its rows and columns begin.
template <class T, int MR, int NV, class E>
PENDULA_FN void gemm_tile(int m0, int n0, int valid, int K, const T* __restrict a, int a_row,
                          int a_col, const T* __restrict b, int ldb, E& epilogue) {
  constexpr int W = kLanes<T>;
  Lanes<T> acc[MR * NV];
  for_constants<MR * NV>([&](auto i) PENDULA_INLINE { acc[i] = Lanes<T>(T(0)); });
  for (int k = 0; k < K; ++k) {
    Lanes<T> x[NV];
    for_constants<NV>([&](auto v) PENDULA_INLINE { x[v] = load_lanes(b + v * W); });
    for_constants<MR>([&](auto i) PENDULA_INLINE {
      const Lanes<T> w = broadcast(a + static_cast<long>(i) * a_row);
      for_constants<NV>([&](auto v)
                            PENDULA_INLINE { acc[i * NV + v] = fma(w, x[v], acc[i * NV + v]); });
    });
    a += a_col;
    b += ldb;
  }
  if (valid >= NV * W) {
    for_constants<MR>([&](auto i) PENDULA_INLINE {
      for_constants<NV>([&](auto v)
                            PENDULA_INLINE { epilogue(m0 + i, n0 + v * W, acc[i * NV + v]); });
    });
    return;
  }
  T c[MR * NV * W];
  for_constants<MR * NV>([&](auto i) PENDULA_INLINE { store(c + i * W, acc[i]); });
  for (int i = 0; i < MR; ++i) {
    const T* row = c + i * NV * W;
    int n = 0;
    for (; n + W <= valid; n += W) epilogue(m0 + i, n0 + n, load_lanes(row + n));
    for (; n < valid; ++n) epilogue(m0 + i, n0 + n, row[n]);
  }
}

// The rows m.. of C in tiles of MR, the remainder in tiles of half as many.
template <class T, int MR, int NV, class E>
PENDULA_FN void gemm_rows(int m, int M, int n0, int valid, int K, const Matrix<T>& A, const T* b,
                          int ldb, E& epilogue) {
  for (; m + MR <= M; m += MR) {
    gemm_tile<T, MR, NV>(m, n0, valid, K, A.p + static_cast<long>(m) * A.row, A.row, A.col, b, ldb,
                         epilogue);
  }
  if constexpr (MR > 1) {
    constexpr int kHalf = MR > 4 ? 4 : MR / 2;
    if (m < M) gemm_rows<T, kHalf, NV>(m, M, n0, valid, K, A, b, ldb, epilogue);
  }
}

// NV registers of columns, all rows. packed: room for packing_bytes, or null.
template <class T, int NV, class E>
PENDULA_FN void gemm_panel(int M, int n0, int valid, int K, const Matrix<T>& A, const T* b, int ldb,
                           T* packed, E& epilogue) {
  constexpr int W = kLanes<T>;
  if (packed != nullptr) {
    for (int k = 0; k < K; ++k) {
      const T* row = b + static_cast<long>(k) * ldb;
      T* to = packed + static_cast<long>(k) * NV * W;
      for_constants<NV>([&](auto v) PENDULA_INLINE { store(to + v * W, load_lanes(row + v * W)); });
    }
    b = packed;
    ldb = NV * W;
  }
  gemm_rows<T, kTileRows[NV], NV>(0, M, n0, valid, K, A, b, ldb, epilogue);
}

// to(k, n) = from[n * ld + k] for n < N, k < K. Writes whole squares of registers; reads no further
// than N rows of K elements.
template <class T>
PENDULA_SHARED_FN void transpose(int N, int K, const T* from, int ld, T* to, int to_ld) {
  constexpr int W = kLanes<T>;
  for (int n = 0; n < N; n += W) {
    for (int k = 0; k < K; k += W) {
      Lanes<T> a[W];
      const T* square = from + static_cast<long>(n) * ld + k;
      if (n + W <= N && k + W <= K) {
        for_constants<W>(
            [&](auto i) PENDULA_INLINE { a[i] = load_lanes(square + static_cast<long>(i) * ld); });
      } else {
        T part[W * W] = {};
        const std::size_t bytes = static_cast<std::size_t>(K - k < W ? K - k : W) * sizeof(T);
        for (int i = 0; i < W && n + i < N; ++i) {
          std::memcpy(part + i * W, square + static_cast<long>(i) * ld, bytes);
        }
        for_constants<W>([&](auto i) PENDULA_INLINE { a[i] = load_lanes(part + i * W); });
      }
      transpose_lanes(a);
      T* column = to + static_cast<long>(k) * to_ld + n;
      for_constants<W>([&](auto i)
                           PENDULA_INLINE { store(column + static_cast<long>(i) * to_ld, a[i]); });
    }
  }
}

// One sum of products; b contiguous.
template <class T>
PENDULA_FN T dot(int K, const T* a, int a_col, const T* b) {
  T sum = T(0);
  for (int k = 0; k < K; ++k) sum = fma(a[static_cast<long>(k) * a_col], b[k], sum);
  return sum;
}

// Sums of products of W vectors, `ld` apart, with one other, all contiguous: one register.
template <class T>
PENDULA_FN Lanes<T> dots(int K, const T* x, int ld, const T* y) {
  constexpr int W = kLanes<T>;
  Lanes<T> s[W];
  for_constants<W>([&](auto i) PENDULA_INLINE { s[i] = Lanes<T>(T(0)); });
  int k = 0;
  for (; k + W <= K; k += W) {
    const Lanes<T> v = load_lanes(y + k);
    for_constants<W>([&](auto i) PENDULA_INLINE {
      s[i] = fma(load_lanes(x + static_cast<long>(i) * ld + k), v, s[i]);
    });
  }
  Lanes<T> sum = sum_lanes(s);
  if (k < K) {
    T rest[W];
    for (int i = 0; i < W; ++i) rest[i] = dot(K - k, x + static_cast<long>(i) * ld + k, 1, y + k);
    sum = sum + load_lanes(rest);
  }
  return sum;
}

// B contiguous in k. Along the longer side of C, W sums of products at a time.
template <class T, class E>
PENDULA_FN void gemm_dot(int M, int N, int K, const Matrix<T>& A, const Matrix<T>& B, E& epilogue) {
  constexpr int W = kLanes<T>;
  const auto a = [&](int m) { return A.p + static_cast<long>(m) * A.row; };
  const auto b = [&](int n) { return B.p + static_cast<long>(n) * B.col; };
  if (A.col == 1 && M > N) {
    for (int n = 0; n < N; ++n) {
      int m = 0;
      for (; m + W <= M; m += W) {
        T c[W];
        store(c, dots(K, a(m), A.row, b(n)));
        for (int i = 0; i < W; ++i) epilogue(m + i, n, c[i]);
      }
      for (; m < M; ++m) epilogue(m, n, dot(K, a(m), 1, b(n)));
    }
    return;
  }
  for (int m = 0; m < M; ++m) {
    int n = 0;
    if (A.col == 1) {
      for (; n + W <= N; n += W) epilogue(m, n, dots(K, b(n), B.col, a(m)));
    }
    for (; n < N; ++n) epilogue(m, n, dot(K, a(m), A.col, b(n)));
  }
}

// The general product. room: for transpose_bytes where needs_transpose, for packing_bytes where
// needs_packing, else null.
template <class T, class E>
PENDULA_FN void gemm_wide(int M, int N, int K, Matrix<T> A, Matrix<T> B, T* room, E epilogue) {
  constexpr int W = kLanes<T>;
  if (B.col != 1 && !needs_transpose(M, N, B)) {
    gemm_dot(M, N, K, A, B, epilogue);
    return;
  }
  const T* b = B.p;
  int ldb = B.row;
  T* packed = room;
  if (B.col != 1) {
    ldb = transpose_ld<T>(N);
    transpose(N, K, B.p, B.col, room, ldb);
    b = room;
    packed = nullptr;
  }
  for (int n = 0; n < N;) {
    const int left = (N - n + W - 1) / W;
    int width = left < kTileWidth ? left : kTileWidth;
    if (left - width == 1 && width > 2) --width;  // a tile of one register waits for its sums
    for_constants<kTileWidth>([&](auto i) PENDULA_INLINE {
      constexpr int NV = i + 1;
      if (width == NV)
        gemm_panel<T, NV>(M, n, N - n < NV * W ? N - n : NV * W, K, A, b + n, ldb, packed,
                          epilogue);
    });
    n += width * W;
  }
}

// A product with few rows (a head), or with one column (a bias's gradient).
template <class T, class E>
PENDULA_FN void gemm_narrow(int M, int N, int K, Matrix<T> A, Matrix<T> B, E epilogue) {
  constexpr int W = kLanes<T>;
  constexpr int NV = 8;  // enough sums in flight
  if (B.col != 1) {
    gemm_dot(M, N, K, A, B, epilogue);
    return;
  }
  for (int m = 0; m < M; ++m) {
    const T* a = A.p + static_cast<long>(m) * A.row;
    int n = 0;
    for (; n + NV * W <= N; n += NV * W) {
      gemm_tile<T, 1, NV>(m, n, NV * W, K, a, A.row, A.col, B.p + n, B.row, epilogue);
    }
    for (; n < N; n += W) {
      gemm_tile<T, 1, 1>(m, n, N - n < W ? N - n : W, K, a, A.row, A.col, B.p + n, B.row, epilogue);
    }
  }
}

}  // namespace PENDULA_PROGRAMS
