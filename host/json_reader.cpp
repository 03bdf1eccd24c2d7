#include "host/json_reader.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <memory>

namespace pendula {
namespace {

using nlohmann::json;

// Walks over the text and tells, through *consumed, how many bytes the parser has taken.
struct CountingIterator {
  using iterator_category = std::input_iterator_tag;
  using value_type = char;
  using difference_type = std::ptrdiff_t;
  using pointer = const char*;
  using reference = const char&;

  const char* at;
  size_t* consumed;

  reference operator*() const { return *at; }
  CountingIterator& operator++() {
    ++at;
    ++*consumed;
    return *this;
  }
  CountingIterator operator++(int) {
    CountingIterator old = *this;
    ++*this;
    return old;
  }
  bool operator==(const CountingIterator& other) const { return at == other.at; }
  bool operator!=(const CountingIterator& other) const { return at != other.at; }
};

// A byte of UTF-8 that goes on with a character.
bool is_continuation(char byte) { return (static_cast<unsigned char>(byte) & 0xC0) == 0x80; }

// Turns byte offsets into "file:line:column". Offsets that grow cost one pass over the text.
class Places {
 public:
  Places(std::string_view text, const std::string& file) : text_(text), file_(file) {}

  std::string at(size_t offset) {
    if (offset < offset_) offset_ = 0, line_ = 1, column_ = 1;
    for (; offset_ < std::min(offset, text_.size()); ++offset_) {
      if (text_[offset_] == '\n') {
        ++line_;
        column_ = 1;
      } else if (!is_continuation(text_[offset_])) {
        ++column_;
      }
    }
    return file_ + ":" + std::to_string(line_) + ":" + std::to_string(column_);
  }

 private:
  std::string_view text_;
  const std::string& file_;
  size_t offset_ = 0;
  size_t line_ = 1;
  size_t column_ = 1;
};

// Takes nlohmann's events and builds the tree. Every event comes when the last byte of its token
// has been read (a number: one byte later), so a token begins at the first byte after the previous
// token that is no blank, comma or colon.
class TreeBuilder : public nlohmann::json_sax<json> {
 public:
  TreeBuilder(std::string_view text, const std::string& file, const size_t* consumed,
              JsonDocument* document)
      : text_(text), consumed_(consumed), document_(document), places_(text, file) {
    if (text.substr(0, 3) == "\xEF\xBB\xBF") token_end_ = 3;  // a byte order mark, skipped
  }

  bool null() override { return add_scalar(nullptr, *consumed_); }
  bool boolean(bool value) override { return add_scalar(value, *consumed_); }
  bool string(std::string& value) override {
    const bool has_nul = value.find('\0') != std::string::npos;
    if (has_nul) report_value("a NUL in a string");
    return add_scalar(value, *consumed_, has_nul);
  }
  bool number_integer(int64_t value) override { return add_scalar(value, number_end()); }
  bool number_unsigned(uint64_t value) override { return add_scalar(value, number_end()); }
  bool number_float(double value, const std::string&) override {
    return add_scalar(value, number_end());
  }
  bool binary(json::binary_t&) override { return false; }  // not in JSON text

  bool start_object(size_t) override { return open(JsonValue::Kind::kObject); }
  bool start_array(size_t) override { return open(JsonValue::Kind::kList); }
  bool end_object() override { return close(); }
  bool end_array() override { return close(); }

  bool key(std::string& name) override {
    const size_t begin = token_begin();
    if (name.find('\0') != std::string::npos) return fail(begin, "a NUL in a key");
    const std::string place = places_.at(begin);
    Open& object = open_.back();
    const auto [first, is_new] = object.keys.emplace(name, place);
    if (!is_new) {
      document_->problems.push_back({place, json_pointer(object.pointer, name) +
                                                ": duplicate key; it stands first at " +
                                                first->second + "; keep one of them"});
    }
    object.value->members.push_back({name, place, {}});
    token_end_ = *consumed_;
    return true;
  }

  bool parse_error(size_t, const std::string&, const nlohmann::detail::exception& error) override {
    const std::string what = error.what();
    const size_t last_byte = *consumed_ == 0 ? 0 : *consumed_ - 1;
    if (what.find("number overflow") != std::string::npos) {
      const size_t begin = token_begin();
      const std::string number(text_.substr(begin, number_end() - begin));
      report_value(shown_text(number, 40) + " is too large; numbers must be finite");
      return false;
    }
    document_->is_json = false;
    if (what.find("unexpected end of input") != std::string::npos) {
      return fail(text_.size(), "not JSON: the text ends too early; is a } or ] missing?");
    }
    // "... syntax error while parsing value - invalid literal; last read: ..."
    const size_t reason = what.find(" - ");
    const std::string why = reason == std::string::npos ? what : what.substr(reason + 3);
    const bool unexpected_token = why.rfind("unexpected", 0) == 0;
    size_t at = unexpected_token ? std::min(token_begin(), last_byte) : last_byte;
    while (at > 0 && is_continuation(text_[at])) --at;  // to the first byte of the character
    const size_t before = text_.find_last_not_of(" \t\r\n", at == 0 ? 0 : at - 1);
    const bool closes = at < text_.size() && (text_[at] == '}' || text_[at] == ']');
    if (unexpected_token && closes && before != std::string_view::npos && text_[before] == ',') {
      return fail(before, "not JSON: a comma after the last entry; remove it");
    }
    return fail(at, "not JSON: " + shown_text(why, 160));
  }

 private:
  struct Open {
    JsonValue* value;
    std::string pointer;
    std::map<std::string, std::string> keys;  // of an object, with the place of each
  };

  size_t token_begin() const {
    return std::min(text_.find_first_not_of(" \t\r\n,:", token_end_), text_.size());
  }
  // The parser has read one byte beyond a number to see its end, unless the text ends there.
  size_t number_end() const {
    const char last = text_[*consumed_ - 1];
    const bool text_ends = *consumed_ == text_.size() && last >= '0' && last <= '9';
    return text_ends ? *consumed_ : *consumed_ - 1;
  }

  bool fail(size_t offset, const std::string& text) {
    document_->problems.push_back({places_.at(offset), text});
    return false;
  }

  // The pointer of the value that comes next.
  std::string pointer() const {
    if (open_.empty()) return "";
    const JsonValue& parent = *open_.back().value;
    const bool list = parent.kind == JsonValue::Kind::kList;
    return json_pointer(open_.back().pointer,
                        list ? std::to_string(parent.items.size()) : parent.members.back().key);
  }

  void report_value(const std::string& text) {
    const std::string where = pointer();
    document_->problems.push_back(
        {places_.at(token_begin()), (where.empty() ? "" : where + ": ") + text});
  }

  JsonValue* add(JsonValue value) {
    if (open_.empty()) {
      document_->root = std::move(value);
      return &document_->root;
    }
    JsonValue& parent = *open_.back().value;
    if (parent.kind == JsonValue::Kind::kList) {
      parent.items.push_back(std::move(value));
      return &parent.items.back();
    }
    parent.members.back().value = std::move(value);
    return &parent.members.back().value;
  }

  bool add_scalar(json scalar, size_t end, bool faulty = false) {
    const size_t begin = token_begin();
    JsonValue value;
    value.place = places_.at(begin);
    value.scalar = std::move(scalar);
    value.text = text_.substr(begin, end - begin);
    value.faulty = faulty;
    add(std::move(value));
    token_end_ = end;
    return true;
  }

  bool open(JsonValue::Kind kind) {
    const size_t begin = token_begin();
    if (open_.size() >= kMaxJsonDepth) {
      return fail(begin, "more than " + std::to_string(kMaxJsonDepth) +
                             " objects and lists inside each other");
    }
    JsonValue value;
    value.kind = kind;
    value.place = places_.at(begin);
    const std::string where = pointer();
    // The pointers in open_ stay good: only the innermost container grows, and none of its entries
    // is open.
    open_.push_back({add(std::move(value)), where, {}});
    token_end_ = begin + 1;
    return true;
  }

  bool close() {
    open_.pop_back();
    token_end_ = *consumed_;
    return true;
  }

  std::string_view text_;
  const size_t* consumed_;
  JsonDocument* document_;
  Places places_;
  std::vector<Open> open_;  // from the root to the innermost
  size_t token_end_ = 0;    // offset after the previous token
};

}  // namespace

JsonDocument read_json(std::string_view text, const std::string& file_name) {
  JsonDocument document;
  // The parser would take a NUL for the end of the text.
  const size_t nul = text.find('\0');
  if (nul != std::string_view::npos) {
    document.problems.push_back(
        {Places(text, file_name).at(nul), "a NUL byte; a config is plain UTF-8 text"});
    return document;
  }
  if (text.find_first_not_of(" \t\r\n") == std::string_view::npos) {
    document.is_json = false;
    document.problems.push_back({file_name + ":1:1", "empty; write at least {}"});
    return document;
  }
  size_t consumed = 0;
  TreeBuilder builder(text, file_name, &consumed, &document);
  const char* begin = text.data();
  document.complete = json::sax_parse(CountingIterator{begin, &consumed},
                                      CountingIterator{begin + text.size(), &consumed}, &builder);
  return document;
}

json plain_json(const JsonValue& value) {
  if (value.kind == JsonValue::Kind::kScalar) return value.scalar;
  if (value.kind == JsonValue::Kind::kList) {
    json list = json::array();
    for (const JsonValue& item : value.items) list.push_back(plain_json(item));
    return list;
  }
  json object = json::object();
  for (const JsonMember& member : value.members) object[member.key] = plain_json(member.value);
  return object;
}

std::string json_pointer(const std::string& parent, const std::string& key) {
  std::string token;
  for (const char c : shown_text(key, 80)) {
    if (c == '~') {
      token += "~0";
    } else if (c == '/') {
      token += "~1";
    } else {
      token += c;
    }
  }
  return parent + "/" + token;
}

std::string shown(const JsonValue& value) {
  if (value.kind == JsonValue::Kind::kList) return "a list";
  if (value.kind == JsonValue::Kind::kObject) return "an object";
  return shown_text(value.text, 60);
}

std::string shown_text(const std::string& text, size_t max_bytes) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    const unsigned char byte = static_cast<unsigned char>(text[i]);
    if (out.size() >= max_bytes && !is_continuation(text[i])) return out + "...";
    out += byte < 0x20 || byte == 0x7F ? '?' : text[i];
  }
  return out;
}

}  // namespace pendula
