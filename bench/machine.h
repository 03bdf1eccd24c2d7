// The machine block: where and with what the rows were measured. A number without it is no result.
#pragma once

#include <nlohmann/json.hpp>

namespace pendula {

// CPU, clocks, compiler, flags, commit, date, load, OpenBLAS. What this machine does not say reads
// "not measured". Keys that end with "_after" are filled in by finish_machine_block.
nlohmann::ordered_json machine_block();

// What a GPU's backend says of itself (DeviceInfo::meta), or null: then the keys of the GPU are not
// there.
void add_gpu(nlohmann::ordered_json& block, const nlohmann::json& meta);

// The clocks after the measurement.
void finish_machine_block(nlohmann::ordered_json& block);

}  // namespace pendula
