//! A source that holds its series in memory.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use tributary_query::source::{
    Points, Selection, Series, SeriesSet, SeriesSource, SourceError, TimeMs,
};
use tributary_spanmetrics::Labels;

#[derive(Default)]
pub(crate) struct MemorySource {
    series: Mutex<Vec<Series>>,
}

impl MemorySource {
    pub(crate) fn add(
        &self,
        labels: Labels,
        samples: Vec<(TimeMs, f64)>,
        complete_to: Option<TimeMs>,
    ) {
        let (times, values): (Vec<_>, Vec<_>) = samples.into_iter().unzip();
        let points = Points::Floats(values);
        let series = Series { labels, times: times.into(), points, complete_to };
        self.series.lock().expect("no panic").push(series);
    }
}

#[async_trait]
impl SeriesSource for MemorySource {
    async fn select(&self, selection: &Selection) -> Result<SeriesSet, SourceError> {
        let mut set = SeriesSet::default();
        for series in self.series.lock().expect("no panic").iter() {
            let labels = &series.labels;
            let value = |name| labels.get(name).unwrap_or_default();
            if !selection.matchers.iter().all(|matcher| matcher.matches(value(matcher.name()))) {
                continue;
            }
            let from = series.times.partition_point(|&t| t <= selection.start);
            let until = series.times.partition_point(|&t| t <= selection.end);
            let Points::Floats(values) = &series.points else {
                continue;
            };
            if from < until {
                set.series.push(Series {
                    labels: labels.clone(),
                    times: Arc::from(&series.times[from..until]),
                    points: Points::Floats(values[from..until].to_vec()),
                    complete_to: series.complete_to,
                });
            }
        }
        Ok(set)
    }
}
