#include "metrics/exporter.h"

#include <vector>

#include <prometheus/text_serializer.h>

#include "metrics/scrape.h"

namespace headgate {

std::string Exporter::text(const MetricSet& wanted) const {
  Scrape scrape(registry_, board_.copy(), process_.read());
  std::vector<prometheus::MetricFamily> families;
  for (std::size_t i = 0; i < metric_count(); ++i) {
    if (!wanted.test(i)) continue;
    Series series(row(i));
    row(i).collect(scrape, series);
    if (!series.is_empty()) families.push_back(std::move(series).family());
  }
  return prometheus::TextSerializer().Serialize(families);
}

}  // namespace headgate
