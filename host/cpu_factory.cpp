#include "envs/list.h"
#include "host/error.h"
#include "host/play.h"

namespace pendula {

#define PENDULA_DECLARE(Env) \
  std::unique_ptr<PlayableBackend> make_cpu_backend_##Env(const Config&, int);
PENDULA_ENVIRONMENTS(PENDULA_DECLARE)
#undef PENDULA_DECLARE

std::unique_ptr<PlayableBackend> make_cpu_backend(const Config& config, int threads) {
#define PENDULA_TRY(Env) \
  if (config.env.id == Env::kId) return make_cpu_backend_##Env(config, threads);
  PENDULA_ENVIRONMENTS(PENDULA_TRY)
#undef PENDULA_TRY
  throw Error(ExitCode::kUsage, "unknown environment \"" + config.env.id + "\"");
}

}  // namespace pendula
