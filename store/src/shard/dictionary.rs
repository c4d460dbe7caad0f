//! The dictionary in memory: what every id of the shard stands for.

use std::collections::BTreeMap;
use std::sync::Arc;

use tributary_spanmetrics::{Content, Group, GroupId, Labels, Layout, LayoutId, SeriesId, Tenant};

use crate::family::dictionary::Definition;

#[derive(Clone, Debug, Default)]
pub(crate) struct Dictionary {
    tenants: BTreeMap<Tenant, TenantDictionary>,
}

#[derive(Clone, Debug, Default)]
pub struct TenantDictionary {
    pub groups: BTreeMap<GroupId, Arc<Group>>,
    pub layouts: BTreeMap<LayoutId, Arc<Layout>>,
    pub series: BTreeMap<SeriesId, Arc<Labels>>,
}

impl Dictionary {
    pub(crate) fn tenants(&self) -> impl Iterator<Item = (&Tenant, &TenantDictionary)> {
        self.tenants.iter()
    }

    pub(crate) fn tenant(&self, tenant: &Tenant) -> Option<&TenantDictionary> {
        self.tenants.get(tenant)
    }

    /// Of deltas that were applied.
    pub(crate) fn layout(&self, tenant: &Tenant, id: LayoutId) -> &Arc<Layout> {
        let known = self.tenants.get(tenant).and_then(|known| known.layouts.get(&id));
        known.expect("a layout is learned with its first delta")
    }

    pub(crate) fn learn(&mut self, tenant: &Tenant, definition: Definition) {
        let of_tenant = self.tenants.entry(tenant.clone()).or_default();
        match definition {
            Definition::Group(id, group) => {
                of_tenant.groups.insert(id, Arc::new(group));
            }
            Definition::Layout(id, layout) => {
                of_tenant.layouts.insert(id, Arc::new(layout));
            }
            Definition::Series(id, labels) => {
                of_tenant.series.insert(id, Arc::new(labels));
            }
        }
    }

    /// What `content` refers to and the dictionary lacks.
    pub(crate) fn unknown_in(&self, content: &Content) -> Vec<(Tenant, Definition)> {
        let empty = TenantDictionary::default();
        let mut unknown = Vec::new();
        for (tenant, content) in &content.tenants {
            let known = self.tenants.get(tenant).unwrap_or(&empty);
            let mut note = |definition| unknown.push((tenant.clone(), definition));
            for (id, of_layout) in &content.layouts {
                if !known.layouts.contains_key(id) {
                    note(Definition::Layout(*id, of_layout.layout.clone()));
                }
                for (id, group) in &of_layout.groups {
                    if !known.groups.contains_key(id) {
                        note(Definition::Group(*id, group.group.clone()));
                    }
                }
            }
            for (id, series) in &content.samples {
                if !known.series.contains_key(id) {
                    note(Definition::Series(*id, series.labels.clone()));
                }
            }
        }
        unknown
    }
}
