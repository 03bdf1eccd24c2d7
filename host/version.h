// What this binary is.
#pragma once

namespace pendula {

struct VersionInfo {
  const char* version;
  const char* commit;
  const char* compiler;
  const char* flags;
};

const VersionInfo& version_info();

}  // namespace pendula
