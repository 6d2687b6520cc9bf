#include "tls/library/asn1_time.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <ctime>

namespace headgate {

WallTime wall_time(const ASN1_TIME* time) {
  using std::chrono::seconds;
  if (time == nullptr) return WallTime::max();
  std::tm parts{};
  if (ASN1_TIME_to_tm(time, &parts) != 1) return WallTime::min();
  // The clock's nanoseconds range from 1677 to 2262; certificates "without an end" have the year 9999.
  constexpr auto kFirst = std::chrono::ceil<seconds>(WallTime::min().time_since_epoch());
  constexpr auto kLast = std::chrono::floor<seconds>(WallTime::max().time_since_epoch());
  return WallTime(std::clamp<seconds>(seconds(timegm(&parts)), kFirst, kLast));
}

std::string date_text(WallTime time) {
  const auto day = std::chrono::floor<std::chrono::days>(time);
  const std::chrono::year_month_day date(day);
  std::array<char, 16> text{};
  std::snprintf(text.data(), text.size(), "%04d-%02u-%02u", static_cast<int>(date.year()),
                static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()));
  return text.data();
}

}  // namespace headgate
