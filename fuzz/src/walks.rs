//! What is checked of a request, whichever its encoding.
//!
//! - A walker that is new, one that knows other requests, and one that knows this very one give one answer.
//! - A refused request leaves no trace.
//! - What counts is what the decoded tree says, and what the tree's own encoding in protobuf gives.

use std::sync::{Arc, LazyLock};

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;
use tributary_spanmetrics::{
    Config, Content, Encoding, Gathered, Groups, Labels, Tenant, WalkError, Walked, Walker,
};

use crate::seeds::{self, NOW_NS};
use crate::tally::Tally;

/// What a walk answers; its partial as a slice's canonical bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Answer {
    content: Vec<u8>,
    accepted: u64,
    late: u64,
    future: u64,
    shortened: u64,
    clamped: u64,
    overflowed: u64,
}

/// A walker and the groups that it names.
struct Road {
    walker: Walker,
    config: Arc<Config>,
    groups: Arc<Groups>,
}

/// A request of a few spans that walkers are warmed with. Never changed.
static OTHER: LazyLock<Vec<u8>> = LazyLock::new(|| seeds::request(3, 6, 1));

/// Answers whether the request is accepted. `decoded` is what another decoder makes of the bytes.
pub(crate) fn check(
    bytes: &[u8],
    encoding: Encoding,
    decoded: Option<&ExportTraceServiceRequest>,
) -> bool {
    let cold = Road::new().walk(bytes, encoding);
    let mut warm = Road::new();
    let other = warm.walk(&OTHER, Encoding::Protobuf);
    let groups = warm.groups.len();
    assert_eq!(warm.walk(bytes, encoding), cold, "a walker that knows another request");
    if cold.is_err() {
        assert_eq!(warm.groups.len(), groups, "a refused request left groups behind");
    }
    assert_eq!(warm.walk(bytes, encoding), cold, "a walker that knows this request");
    assert_eq!(warm.walk(&OTHER, Encoding::Protobuf), other, "the other request, behind this one");
    if let Some(request) = decoded {
        match &cold {
            Ok(answer) => agree(answer, request),
            Err(refused) => assert!(is_limit(refused), "refused what is a request: {refused}"),
        }
    }
    cold.is_ok()
}

/// What the walker makes of a request against the request's tree.
fn agree(answer: &Answer, request: &ExportTraceServiceRequest) {
    let content = Content::decode(&answer.content).expect("a slice is canonical");
    assert_eq!(content.encode(), answer.content, "a slice is canonical");
    let tally = Tally::of(request, &Road::config());
    assert_eq!(Tally::read(&content, [answer.accepted, answer.late, answer.future]), tally);
    match Road::new().walk(&request.encode_to_vec(), Encoding::Protobuf) {
        Ok(again) => assert_eq!(*answer, again, "the tree's own encoding"),
        Err(refused) => assert!(is_limit(&refused), "the tree's own encoding: {refused}"),
    }
}

/// The refusals that a legal request may meet: of too many groups, of an attribute that is read and too
/// large, and of JSON that is too deep.
fn is_limit(refused: &WalkError) -> bool {
    match refused {
        WalkError::TooMany { .. } => true,
        WalkError::BadSpans(why) => {
            why.contains("is larger than 65536 bytes") || why.contains("nested deeper than")
        }
    }
}

impl Road {
    fn config() -> Config {
        let dimensions = [
            "http.request.method",
            "http.route",
            "http.response.status_code",
            "deployment.environment.name",
            "service.name",
        ];
        Config {
            dimensions: dimensions.map(str::to_owned).to_vec(),
            external: Labels::from_pairs([("region", "eu")]),
            ..Config::default()
        }
    }

    fn new() -> Self {
        let config = Arc::new(Self::config());
        let groups = Arc::new(Groups::new(1 << 20, config.external.clone()));
        Road { walker: Walker::new(config.clone(), groups.clone(), 7), config, groups }
    }

    fn walk(&mut self, bytes: &[u8], encoding: Encoding) -> Result<Answer, WalkError> {
        let walked = self.walker.walk(bytes, encoding, &Tenant::default(), NOW_NS)?;
        let mut gathered = Gathered::default();
        gathered.merge(&self.config.layout, &walked.partial);
        let mut slices = gathered.slices(Content::default(), 1, &self.groups);
        let content = slices.remove(&0).unwrap_or_else(|| Content::default().encode());
        let Walked { accepted, late, future, shortened, clamped, overflowed, .. } = walked;
        Ok(Answer { content, accepted, late, future, shortened, clamped, overflowed })
    }
}
