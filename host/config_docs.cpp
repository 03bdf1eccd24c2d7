#include "host/config_docs.h"

#include <sstream>

#include "host/config_table.h"
#include "host/environments.h"

namespace pendula {
namespace {

// A bar would end the cell of a table.
std::string cell(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == '|') out += '\\';
    out += c;
  }
  return out;
}

void write_row(std::ostringstream& page, const KeySpec& key, const std::string& by_default) {
  page << "| `" << dotted(key.path) << "` | " << cell(allowed_text(key)) << " | "
       << cell(by_default) << " | " << cell(meaning_text(key)) << " |\n";
}

constexpr const char* kTableHead = "\n| key | allowed | default | meaning |\n|---|---|---|---|\n";

// "ddpg" of "/ddpg/gamma", "population.pbt" of "/population/pbt/keys", "" of "/seed".
std::string section_of(const KeySpec& key) {
  const size_t slash = key.path.rfind('/');
  return slash == 0 ? "" : dotted(key.path.substr(0, slash));
}

std::string default_of(const KeySpec& key) {
  return key.default_text.empty() ? '`' + key.get(Config{}).dump() + '`' : key.default_text;
}

// Top-level keys stand together at the start; "result" follows all sections.
std::string heading(const std::string& section, const KeySpec& key) {
  if (!section.empty()) return '`' + section + '`';
  return key.type == KeyType::kObject ? '`' + dotted(key.path) + '`' : "The run";
}

void write_agents(std::ostringstream& page) {
  page
      << "\n## Values that differ between agents\n\n"
         "Where \"one per agent\" stands, a key takes in place of its value a list of as many\n"
         "values as there are `agents`, or a distribution, from which each agent draws its own:\n\n"
         "| distribution | draws |\n|---|---|\n"
         "| `{\"log_uniform\": [1e-5, 1e-2]}` | a number whose logarithm is uniform |\n"
         "| `{\"uniform\": [0.05, 0.3]}` | a number |\n"
         "| `{\"int_uniform\": [32, 256]}` | an integer, both ends included |\n"
         "| `{\"choice\": [64, 128, 256]}` | one of these |\n\n"
         "Both ends must be in the key's range, and the keys of integers take the last two. A "
         "draw\n"
         "is a function of the config's `seed` (the first of a list, the default of a\n"
         "distribution), the key's name and the agent's number: it is the same on every machine,\n"
         "and more agents leave the first ones as they are. Agent k trains with seed + k unless\n"
         "`seed` itself is given per agent. `pendula config show CONFIG --agent 3` prints the\n"
         "config of one agent, which trains to the same bits alone (on a GPU under the same\n"
         "plan). All other keys, as the networks, the environment and `num_envs`, are one for all\n"
         "agents.\n";
}

void write_sections(std::ostringstream& page) {
  std::string section = "none yet";
  for (const KeySpec& key : config_keys(nullptr)) {
    if (section_of(key) != section) {
      section = section_of(key);
      page << "\n## " << heading(section, key) << '\n' << kTableHead;
    }
    write_row(page, key, default_of(key));
  }
}

void write_environments(std::ostringstream& page) {
  for (const EnvironmentInfo& env : environments()) {
    page << "\n## `env` with `\"id\": \"" << env.id << "\"`\n\n"
         << env.help << ". An episode is truncated after " << env.max_episode_steps << " steps.\n"
         << kTableHead;
    for (const KeySpec& key : config_keys(&env)) {
      if (find_key(config_keys(nullptr), key.path) == nullptr)
        write_row(page, key, default_of(key));
    }
  }
}

}  // namespace

std::string config_markdown() {
  std::ostringstream page;
  page << "# Every key of a config\n\n"
          "This page is made from the table in `host/config_table.cpp`; change it there.\n\n"
          "All keys may be left out. The defaults come first, then the file, then `path=value`\n"
          "overrides on the command line, as `ddpg.gamma=0.98` or `actor.hidden=[400,300]`.\n"
          "Unknown and duplicate keys are errors. Steps are environment steps summed over the\n"
          "environments of one agent; an iteration is `env.num_envs` x `rollout.length` of them.\n"
          "`[` and `]` include the end of a range, `(` and `)` do not.\n";
  page << "\n`pendula config schema > config.schema.json` writes all of this as a JSON Schema\n"
          "(draft 2020-12), by which editors complete and check a config. A config names it by\n"
          "`\"$schema\": \"../config.schema.json\"`, which Pendula reads and forgets; or VS Code\n"
          "has the setting\n\n"
          "    \"json.schemas\": [{\"fileMatch\": [\"configs/*.json\"],\n"
          "                      \"url\": \"./config.schema.json\"}]\n\n"
          "What must hold between keys, as a warm-up shorter than the run, is not in it:\n"
          "`pendula config check` sees that too.\n";
  write_agents(page);
  write_sections(page);
  write_environments(page);
  return page.str();
}

}  // namespace pendula
