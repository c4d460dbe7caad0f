//! Everything that a shard holds, in canonical form: what two shards that were fed the same must
//! agree on, whatever batches, commits and compactions it came in.

use tributary_proto::Digest;
use tributary_spanmetrics::{Content, GroupContent, SeriesContent, Tenant};
use xxhash_rust::xxh3::xxh3_128;

use super::compaction::sum_samples;
use super::view::{View, all_of};
use crate::disk::{self, DiskError, ErrorKind};
use crate::family;
use crate::family::samples::{SampleKey, add_later};

impl View {
    /// All deltas and samples; nothing of sources. Held in memory whole.
    pub async fn content(&self) -> disk::Result<Content> {
        let mut content = Content::default();
        for (tenant, known) in self.dictionary.tenants() {
            let ids: Vec<_> = known.groups.keys().copied().collect();
            let histories = self.group_histories(tenant, &ids, i64::MIN, i64::MAX).await?;
            for (id, history) in ids.iter().zip(histories) {
                if let Some(damage) = history.damaged.into_iter().next() {
                    let dir = self.dir.to_string();
                    return Err(DiskError::new(ErrorKind::Corrupt, dir, "dumping", damage));
                }
                for (layout_id, of_layout) in history.layouts {
                    let group = (*known.groups[id]).clone();
                    let windows = of_layout.windows.deltas().collect();
                    let of_group = GroupContent { group, windows };
                    let dumped = content.tenant(tenant).layout(layout_id, &of_layout.layout);
                    dumped.groups.insert(*id, of_group);
                }
            }
            self.dump_samples(tenant, &mut content).await?;
        }
        Ok(content)
    }

    /// Of the content alone: equal wherever the same was counted.
    pub async fn content_digest(&self) -> disk::Result<Digest> {
        Ok(Digest(self.content().await?.digest()))
    }

    /// Of content and watermarks: equal between replicas that applied the same entries.
    pub async fn replica_digest(&self) -> disk::Result<Digest> {
        let mut bytes = self.content().await?.encode();
        for (source, state) in self.sources.iter() {
            bytes.extend_from_slice(&source.to_bytes());
            bytes.extend_from_slice(&state.value());
        }
        bytes.extend_from_slice(&self.applied.to_be_bytes());
        Ok(Digest(xxh3_128(&bytes)))
    }

    async fn dump_samples(&self, tenant: &Tenant, content: &mut Content) -> disk::Result<()> {
        let Some(known) = self.dictionary.tenant(tenant) else { return Ok(()) };
        for (id, labels) in &known.series {
            let range = all_of(SampleKey::of_series(tenant, *id).done());
            let scanned = self.snapshot.scan(family::SAMPLES, vec![range]).await?;
            let rows = scanned.concat();
            let mut points = sum_samples(&rows).map_err(|damage| {
                let key = rows.first().map_or(&[][..], |(key, _)| key);
                self.damaged(family::SAMPLES, key, damage)
            })?;
            let held = self.head.of_tenant(tenant).filter_map(|held| held.samples().get(id));
            held.for_each(|later| add_later(&mut points, later.clone()));
            if !points.is_empty() {
                let of_series = SeriesContent { labels: (**labels).clone(), points };
                content.tenant(tenant).samples.insert(*id, of_series);
            }
        }
        Ok(())
    }
}
