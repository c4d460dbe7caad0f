//! A feed as Prometheus remote write 1.0: cumulative counters as scrapes in every window would find them.
//!
//! <https://prometheus.io/docs/specs/prw/remote_write_spec/>

use prost::encoding::encode_varint;

use super::feed::{Feed, Window};
use super::history::Delta;
use super::names;
use super::shape::Shape;
use super::survey::Survey;

/// Requests in time order, snappy as the protocol wants it. Each holds some windows of all groups.
pub struct Requests {
    feed: Feed,
    survey: Survey,
    groups: Vec<Scraped>,
    windows: usize,
    message: Vec<u8>,
}

/// What a scrape finds of a group.
struct Scraped {
    /// Labels by series.
    series: Vec<Vec<u8>>,
    total: Delta,
    /// Samples of this request by series, encoded.
    samples: Vec<Vec<u8>>,
}

impl Requests {
    /// With so many windows in each.
    pub fn of(shape: &Shape, windows: usize) -> Self {
        Requests {
            feed: Feed::of(shape),
            survey: Survey::of(shape),
            groups: shape.catalogue().groups().iter().map(Scraped::of).collect(),
            windows: windows.max(1),
            message: Vec::new(),
        }
    }

    /// Of what was in the requests so far.
    pub fn survey(&self) -> &Survey {
        &self.survey
    }

    fn scrape(&mut self, window: &Window) {
        self.survey.add(window);
        for (group, delta) in self.groups.iter_mut().zip(&window.deltas) {
            group.scrape(delta, window.end_ms);
        }
    }
}

impl Iterator for Requests {
    type Item = Vec<u8>;

    fn next(&mut self) -> Option<Vec<u8>> {
        self.message.clear();
        // A request of sparse groups may come out empty, and says nothing then.
        while self.message.is_empty() {
            for nth in 0..self.windows {
                match self.feed.next() {
                    Some(window) => self.scrape(&window),
                    None if nth == 0 => return None,
                    None => break,
                }
            }
            self.groups.iter_mut().for_each(|group| group.write(&mut self.message));
        }
        let packed = snap::raw::Encoder::new().compress_vec(&self.message);
        Some(packed.expect("a request is far below snappy's limit of 4 GiB"))
    }
}

impl Scraped {
    fn of(group: &crate::spans::Group) -> Self {
        let series = names::series(group);
        Scraped { samples: vec![Vec::new(); series.len()], series, total: Delta::none() }
    }

    fn scrape(&mut self, delta: &Delta, end_ms: i64) {
        self.total.add(delta);
        // Before its first call nobody knows of a group.
        if self.total.count == 0 {
            return;
        }
        for (samples, value) in self.samples.iter_mut().zip(names::values(&self.total)) {
            sample(value, end_ms, samples);
        }
    }

    fn write(&mut self, message: &mut Vec<u8>) {
        for (labels, samples) in self.series.iter().zip(&mut self.samples) {
            if !samples.is_empty() {
                // A time series: its labels, then its samples.
                encode_varint(1 << 3 | 2, message);
                encode_varint((labels.len() + samples.len()) as u64, message);
                message.extend_from_slice(labels);
                message.append(samples);
            }
        }
    }
}

fn sample(value: f64, time_ms: i64, out: &mut Vec<u8>) {
    let mut sample = vec![1 << 3 | 1];
    sample.extend_from_slice(&value.to_le_bytes());
    sample.push(2 << 3);
    encode_varint(time_ms as u64, &mut sample);
    names::field(2, &sample, out);
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use prost::Message;

    use super::*;
    use crate::series::{Variant, WINDOW_MS};

    #[derive(Clone, PartialEq, Message)]
    struct WriteRequest {
        #[prost(message, repeated, tag = "1")]
        series: Vec<TimeSeries>,
    }

    #[derive(Clone, PartialEq, Message)]
    struct TimeSeries {
        #[prost(message, repeated, tag = "1")]
        labels: Vec<Label>,
        #[prost(message, repeated, tag = "2")]
        samples: Vec<Sample>,
    }

    #[derive(Clone, PartialEq, Message)]
    struct Label {
        #[prost(string, tag = "1")]
        name: String,
        #[prost(string, tag = "2")]
        value: String,
    }

    #[derive(Clone, PartialEq, Message)]
    struct Sample {
        #[prost(double, tag = "1")]
        value: f64,
        #[prost(int64, tag = "2")]
        time_ms: i64,
    }

    /// What was sent, by labels and time.
    fn received(requests: &mut Requests) -> BTreeMap<String, BTreeMap<i64, f64>> {
        let mut received = BTreeMap::<_, BTreeMap<_, _>>::new();
        for packed in requests {
            let message = snap::raw::Decoder::new().decompress_vec(&packed).expect("snappy");
            for series in WriteRequest::decode(&message[..]).expect("protobuf").series {
                assert!(series.labels.is_sorted_by_key(|label| label.name.clone()));
                let labels = series.labels.iter().map(|l| format!("{}={}", l.name, l.value));
                let points = received.entry(labels.collect::<Vec<_>>().join(",")).or_default();
                points.extend(series.samples.iter().map(|sample| (sample.time_ms, sample.value)));
            }
        }
        received
    }

    #[test]
    fn every_series_has_what_was_counted_up_to_each_window() {
        let shape = Shape { groups: 4, hours: 1, seed: 1, variant: Variant::Full };
        let mut requests = Requests::of(&shape, 7);
        let received = received(&mut requests);
        let summary = requests.survey().summary();
        assert_eq!(received.len(), 4 * 20);
        let samples: usize = received.values().map(BTreeMap::len).sum();
        assert_eq!(samples as u64, summary.samples);
        let sum_at = |name: &str, end_ms: i64| -> f64 {
            let of_name = received.iter().filter(|(labels, _)| labels.contains(name));
            of_name.map(|(_, points)| points[&end_ms]).sum()
        };
        let tally = &summary.tally;
        assert_eq!(sum_at("calls_total,", shape.end_ms()), tally.count as f64);
        assert_eq!(sum_at("latency_count,", shape.end_ms()), tally.count as f64);
        assert_eq!(sum_at("le=4,", shape.end_ms()), (tally.buckets[0] + tally.buckets[1]) as f64);
        assert_eq!(sum_at("le=+Inf,", shape.end_ms()), tally.count as f64);
        assert!((sum_at("latency_sum,", shape.end_ms()) - tally.sum_us as f64 / 1e3).abs() < 1e-3);
        let first: u64 =
            Feed::of(&shape).next().expect("a window").deltas.iter().map(|d| d.count).sum();
        assert_eq!(sum_at("calls_total,", shape.start_ms() + WINDOW_MS), first as f64);
    }

    #[test]
    fn a_group_is_not_scraped_before_its_first_call_and_always_after() {
        let shape = Shape { groups: 6, hours: 2, seed: 1, variant: Variant::Sparse };
        let received = received(&mut Requests::of(&shape, 8));
        assert!(received.values().any(|points| points.len() < 480), "all began at once");
        for points in received.values() {
            let first = *points.keys().next().expect("not empty");
            let windows = (shape.end_ms() - first) / WINDOW_MS + 1;
            assert_eq!(points.len() as i64, windows);
        }
    }
}
