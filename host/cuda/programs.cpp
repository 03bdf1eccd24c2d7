#include "host/cuda/programs.h"

#include "envs/list.h"
#include "host/error.h"

namespace pendula {

#define PENDULA_DECLARE(Env)                                               \
  std::unique_ptr<CudaPrograms> make_cuda_##Env##_kFfma(const CudaSetup&); \
  std::unique_ptr<CudaPrograms> make_cuda_##Env##_kTf32(const CudaSetup&);
PENDULA_ENVIRONMENTS(PENDULA_DECLARE)
#undef PENDULA_DECLARE

std::unique_ptr<CudaPrograms> make_cuda_programs(const std::string& env_id, bool tf32,
                                                 const CudaSetup& setup) {
#define PENDULA_MAKE(Env) \
  if (env_id == Env::kId) \
    return tf32 ? make_cuda_##Env##_kTf32(setup) : make_cuda_##Env##_kFfma(setup);
  PENDULA_ENVIRONMENTS(PENDULA_MAKE)
#undef PENDULA_MAKE
  throw Error(ExitCode::kUsage, "no environment is called \"" + env_id + "\"");
}

}  // namespace pendula
