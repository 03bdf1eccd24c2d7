// Matrix products of a CUDA block: C(m, n) = sum over k of A(m, k) B(k, n), one call of
// epilogue(m, n, value) for each element, by the thread that holds it. Any M, N, K and strides; the
// operands lie in shared or in device memory.
//
//   gemm_ffma  fused multiply-adds in T, k ascending: the bits of the CPU backend's products
//   gemm_tf32  tensor cores, mma.sync.m16n8k8: operands rounded to tf32 (10 bits, to nearest, ties
//              away), sums in fp32, eight terms at a time, k ascending
//
// Neither has a barrier.
#pragma once

#include "kernels/matrix.h"

namespace PENDULA_PROGRAMS {

inline constexpr int kThreads = 256;  // of a block
inline constexpr int kWarps = kThreads / 32;

// Which thread of its block this is.
PENDULA_FN int thread_index() {
#if PENDULA_DEVICE
  return static_cast<int>(threadIdx.x);
#else
  return 0;
#endif
}

// A barrier of the block's threads.
PENDULA_FN void block_sync() {
#if PENDULA_DEVICE
  __syncthreads();
#endif
}

// Tiles of TM x TN elements per thread. A tile's rows are row, row + rows, ...: neighbouring
// threads then read neighbouring columns of B, without bank conflicts and at any alignment. Indices
// beyond the edge are read at the last element and never given to the epilogue.
template <class T, int TM, int TN, class E>
PENDULA_FN void gemm_ffma_tiles(int thread, int M, int N, int K, const Matrix<T>& A,
                                const Matrix<T>& B, E& epilogue) {
  const int rows = (M + TM - 1) / TM;
  const int cols = (N + TN - 1) / TN;
  for (int t = thread; t < rows * cols; t += kThreads) {
    const int row = t / cols;
    const int col = t % cols;
    const T* a[TM];
    const T* b[TN];
    T acc[TM][TN];
    PENDULA_UNROLL
    for (int i = 0; i < TM; ++i) {
      const int m = row + i * rows;
      a[i] = A.p + static_cast<int64_t>(m < M ? m : M - 1) * A.row;
      PENDULA_UNROLL
      for (int j = 0; j < TN; ++j) acc[i][j] = T(0);
    }
    PENDULA_UNROLL
    for (int j = 0; j < TN; ++j) {
      const int n = col + j * cols;
      b[j] = B.p + static_cast<int64_t>(n < N ? n : N - 1) * B.col;
    }
    PENDULA_UNROLL_BY(4)
    for (int k = 0; k < K; ++k) {
      T x[TM];
      T y[TN];
      PENDULA_UNROLL
      for (int i = 0; i < TM; ++i) x[i] = a[i][static_cast<int64_t>(k) * A.col];
      PENDULA_UNROLL
      for (int j = 0; j < TN; ++j) y[j] = b[j][static_cast<int64_t>(k) * B.row];
      PENDULA_UNROLL
      for (int i = 0; i < TM; ++i) {
        PENDULA_UNROLL
        for (int j = 0; j < TN; ++j) acc[i][j] = fma(x[i], y[j], acc[i][j]);
      }
    }
    PENDULA_UNROLL
    for (int i = 0; i < TM; ++i) {
      const int m = row + i * rows;
      PENDULA_UNROLL
      for (int j = 0; j < TN; ++j) {
        const int n = col + j * cols;
        if (m < M && n < N) epilogue(m, n, acc[i][j]);
      }
    }
  }
}

template <class T, class E>
PENDULA_FN void gemm_ffma(int thread, int M, int N, int K, const Matrix<T>& A, const Matrix<T>& B,
                          E& epilogue) {
  if (M >= 4 && N >= 4 && M * N >= 8 * kThreads) {
    gemm_ffma_tiles<T, 4, 4>(thread, M, N, K, A, B, epilogue);
  } else {  // a head, or a bias's gradient: too few elements for tiles
    gemm_ffma_tiles<T, 1, 1>(thread, M, N, K, A, B, epilogue);
  }
}

PENDULA_FN uint32_t to_tf32([[maybe_unused]] float x) {
  uint32_t y = 0;
#if PENDULA_DEVICE
  asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(y) : "f"(x));
#endif
  return y;
}

// c += a b on one 16 x 8 x 8 tile; the fragments of PTX ISA, "Matrix fragments for mma.m16n8k8".
PENDULA_FN void mma_tf32([[maybe_unused]] float (&c)[4], [[maybe_unused]] const uint32_t (&a)[4],
                         [[maybe_unused]] uint32_t b0, [[maybe_unused]] uint32_t b1) {
#if PENDULA_DEVICE
  asm("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, "
      "{%0,%1,%2,%3};"
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
#endif
}

inline constexpr int kColumnTiles = 4;  // 8-column tiles of one warp: they share the fragment of A

// c += A(m0 .., k0 ..) B(k0 .., n0 ..) for 16 rows, 32 columns and 8 terms. kFull: all of them
// exist; otherwise those that do not are zero.
template <bool kFull>
PENDULA_FN void tf32_step(int lane, int m0, int n0, int k0, int M, int N, int K,
                          const Matrix<float>& A, const Matrix<float>& B,
                          float (&c)[kColumnTiles][4]) {
  const int g = lane >> 2, q = lane & 3;
  const auto a_at = [&](int m, int k) {
    if (!kFull && (m >= M || k >= K)) return 0u;
    return to_tf32(A.p[static_cast<int64_t>(m) * A.row + static_cast<int64_t>(k) * A.col]);
  };
  const auto b_at = [&](int k, int n) {
    if (!kFull && (k >= K || n >= N)) return 0u;
    return to_tf32(B.p[static_cast<int64_t>(k) * B.row + static_cast<int64_t>(n) * B.col]);
  };
  const uint32_t a[4] = {a_at(m0 + g, k0 + q), a_at(m0 + g + 8, k0 + q), a_at(m0 + g, k0 + q + 4),
                         a_at(m0 + g + 8, k0 + q + 4)};
  PENDULA_UNROLL
  for (int p = 0; p < kColumnTiles; ++p) {
    const int n = n0 + 8 * p;
    if (kFull || n < N) mma_tf32(c[p], a, b_at(k0 + q, n + g), b_at(k0 + q + 4, n + g));
  }
}

template <class E>
PENDULA_FN void gemm_tf32(int thread, int M, int N, int K, const Matrix<float>& A,
                          const Matrix<float>& B, E& epilogue) {
  const int warp = thread / 32, lane = thread % 32;
  const int g = lane >> 2, q = lane & 3;
  const int cols = (N + 8 * kColumnTiles - 1) / (8 * kColumnTiles);
  const int tiles = (M + 15) / 16 * cols;
  for (int t = warp; t < tiles; t += kWarps) {
    const int m0 = t / cols * 16;
    const int n0 = t % cols * (8 * kColumnTiles);
    float c[kColumnTiles][4] = {};
    int k = 0;
    if (m0 + 16 <= M && n0 + 8 * kColumnTiles <= N) {
      PENDULA_UNROLL_BY(2)
      for (; k + 8 <= K; k += 8) tf32_step<true>(lane, m0, n0, k, M, N, K, A, B, c);
    }
    PENDULA_UNROLL_BY(1)
    for (; k < K; k += 8) tf32_step<false>(lane, m0, n0, k, M, N, K, A, B, c);
    PENDULA_UNROLL
    for (int p = 0; p < kColumnTiles; ++p) {
      PENDULA_UNROLL
      for (int i = 0; i < 4; ++i) {
        const int m = m0 + g + (i & 2) * 4;
        const int n = n0 + 8 * p + 2 * q + (i & 1);
        if (m < M && n < N) epilogue(m, n, c[p][i]);
      }
    }
  }
}

}  // namespace PENDULA_PROGRAMS
