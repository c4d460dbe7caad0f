//! Every group of every edge, page by page.

use std::collections::{BTreeMap, BTreeSet};

use thiserror::Error;
use tributary_edge::{GroupTotals, Place, TotalsHandle, TotalsPage};
use tributary_spanmetrics::{GroupId, Tenant};

use super::edges::Edges;

#[derive(Debug, Error)]
#[error("the node is stopping: ask again once it is back")]
pub(super) struct Stopping;

pub(super) struct Walk {
    tenant: Tenant,
    edges: Edges,
    /// The edge at hand, and where in it.
    edge: usize,
    place: Option<Place>,
}

impl Walk {
    pub(super) fn new(tenant: Tenant, edges: Edges) -> Self {
        Walk { tenant, edges, edge: 0, place: None }
    }

    pub(super) fn start_again(&mut self) {
        (self.edge, self.place) = (0, None);
    }

    /// The next page, `None` behind the last. One may be without rows.
    pub(super) async fn next(&mut self) -> Result<Option<TotalsPage>, Stopping> {
        let Some(edge) = self.edges.get(self.edge) else { return Ok(None) };
        let page = edge.totals.page(&self.tenant, self.place).await;
        let mut page = page.ok_or(Stopping)?;
        self.unite(&mut page).await?;
        self.place = page.next;
        if page.next.is_none() {
            self.edge += 1;
        }
        Ok(Some(page))
    }

    /// A group that several edges know is shown with the first of them, and has what all have.
    async fn unite(&self, page: &mut TotalsPage) -> Result<(), Stopping> {
        let (before, behind) = self.edges.siblings(self.edge);
        for sibling in before {
            let known = self.same_groups(sibling, page).await?;
            let shown: BTreeSet<GroupId> = known.rows.iter().map(|row| row.id).collect();
            page.rows.retain(|row| !shown.contains(&row.id));
        }
        for sibling in behind {
            let known = self.same_groups(sibling, page).await?;
            page.layouts.extend(known.layouts);
            let mut more: BTreeMap<_, _> =
                known.rows.into_iter().map(|row| (row.id, row)).collect();
            for row in &mut page.rows {
                if let Some(more) = more.remove(&row.id) {
                    add(row, more);
                }
            }
        }
        Ok(())
    }

    async fn same_groups(
        &self,
        sibling: &TotalsHandle,
        page: &TotalsPage,
    ) -> Result<TotalsPage, Stopping> {
        let ids = page.rows.iter().map(|row| row.id).collect();
        sibling.groups(&self.tenant, ids).await.ok_or(Stopping)
    }
}

/// In the order of layouts, as rows have them.
fn add(row: &mut GroupTotals, more: GroupTotals) {
    for (id, delta) in more.by_layout {
        match row.by_layout.binary_search_by_key(&id, |(id, _)| *id) {
            Ok(at) => row.by_layout[at].1.merge(&delta),
            Err(at) => row.by_layout.insert(at, (id, delta)),
        }
    }
}
