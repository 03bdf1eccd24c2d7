"""What the documents name is there: files, folders and links in all of them; in docs/ddpg.md also
the functions and types beside a file, and keys of the config.

python3 -m unittest tests/docs_test.py
"""

import pathlib
import re
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent
DOCUMENTS = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "envs/README.md")]
DOCUMENTS += sorted((ROOT / "docs").glob("*.md"))

MADE = ("runs/", "build/")  # what runs and builds write there is in no checkout
SOURCE = re.compile(r"\.(h|cpp|cu|py|cmake|in|md|json|svg|png|sh)$")
# A file in backticks, and behind it, one after the other, names that it has: `a/b.h` `f`, `Type`
NAMED = re.compile(r"`([\w./-]+/[\w.-]+)`((?:,?\s+`[A-Za-z_]\w*`)+)")


def prose(text):
    """The text without its fenced blocks."""
    return re.sub(r"^ *```.*?^ *```$", "", text, flags=re.DOTALL | re.MULTILINE)


def quoted(text):
    """What stands in backticks."""
    return re.findall(r"`([^`\n]+)`", prose(text))


def is_path(word):
    """Whether a word in backticks is meant as a path of the checkout."""
    first, slash, _ = word.partition("/")
    if not slash or word.startswith(MADE):
        return False
    return (ROOT / first).is_dir() or bool(SOURCE.search(word))


def missing_paths(text):
    """Paths in backticks that do not exist. One with a placeholder, as envs/<name>.h or
    tests/*_test.py, needs the folder before it."""
    missing = []
    for word in (word for code in quoted(text) for word in code.split()):
        known = re.split(r"[<*{]", word)[0]
        if known != word:
            known = known[:known.rfind("/") + 1]
        if is_path(word) and not (ROOT / known).exists():
            missing.append(word)
    return missing


def missing_links(text, folder):
    """Relative links that lead nowhere."""
    links = re.findall(r"\]\(([^)#\s]+)", prose(text))
    return [link for link in links if ":" not in link and not (folder / link).exists()]


def code_of(path):
    """A source without its // comments."""
    return re.sub(r"//.*", "", path.read_text(encoding="utf-8"))


def named(text):
    """(path, name) of each name beside a file."""
    return [(path, name) for path, names in NAMED.findall(prose(text))
            for name in re.findall(r"\w+", names)]


def missing_names(text):
    """Those that are not in the code of their file. A file that is not there has none."""
    missing = []
    for path, name in named(text):
        file = ROOT / path
        if not file.is_file() or not re.search(rf"\b{name}\b", code_of(file)):
            missing.append(f"{path} {name}")
    return missing


def missing_keys(text):
    """Keys as `noise.sigma` that are not in the table of the config."""
    table = set(re.findall(r'"/(\w+)/(\w+)"', code_of(ROOT / "host" / "config_table.cpp")))
    sections = {section for section, _ in table}
    keys = [re.fullmatch(r"(\w+)\.(\w+)", code) for code in quoted(text)]
    return [key[0] for key in keys if key and key[1] in sections and key.groups() not in table]


class Documents(unittest.TestCase):
    def test_paths_and_links(self):
        for document in DOCUMENTS:
            with self.subTest(document=str(document.relative_to(ROOT))):
                text = document.read_text(encoding="utf-8")
                self.assertEqual(missing_paths(text), [])
                self.assertEqual(missing_links(text, document.parent), [])

    def test_the_algorithm(self):
        text = (ROOT / "docs" / "ddpg.md").read_text(encoding="utf-8")
        self.assertGreaterEqual(len(set(named(text))), 40)  # the page still keeps the convention
        self.assertEqual(missing_names(text), [])
        self.assertEqual(missing_keys(text), [])


class Faults(unittest.TestCase):
    """What the functions above say of documents that are wrong."""

    def test_paths(self):
        text = ("`kernels/adam.h`, `kernels/eve.h`, `kernel/adam.h`, `runs/x.json`, `eval/mean`,\n"
                "`envs/<name>.h`, `env/<name>.h`, `tests/kernels/*_tests.h`, `test/*_tests.h`,\n"
                "`scripts/lear --table`, `kernels/`, `docs/new/`\n```\n`kernels/fenced.h`\n```\n")
        self.assertEqual(missing_paths(text), ["kernels/eve.h", "kernel/adam.h", "env/<name>.h",
                                               "test/*_tests.h", "scripts/lear", "docs/new/"])

    def test_links(self):
        text = "[a](docs/design.md#x) [b](docs/plan.md) [c](https://example.org/d.md) [d](#there)"
        self.assertEqual(missing_links(text, ROOT), ["docs/plan.md"])

    def test_names(self):
        text = ("`kernels/adam.h` `AdamStep`, `adam_step`; `kernels/noise.h`\n`advance_ou`,"
                " `kernels/eve.h` `f`. `kernels/adam.h` and `nothing`;"
                " in a comment alone: `kernels/adam.h` `Kingma`")
        self.assertEqual(missing_names(text), ["kernels/adam.h adam_step", "kernels/eve.h f",
                                               "kernels/adam.h Kingma"])

    def test_keys(self):
        text = "`noise.sigma`, `noise.sigmas`, `torch.optim`, `rollout.length`"
        self.assertEqual(missing_keys(text), ["noise.sigmas"])


if __name__ == "__main__":
    unittest.main()
