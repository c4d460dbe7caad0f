//! Files as people write them, and what they are told.

use super::*;

fn parse(text: &str) -> Result<Config, String> {
    Config::parse(Path::new("t.yaml"), text).map_err(|error| error.to_string())
}

fn refused(text: &str) -> String {
    let told = parse(text).expect_err(text);
    told.strip_prefix("configuration file t.yaml: ").expect("names the file").to_owned()
}

const WHOLE: &str = r#"
edge:
  window: 5s
  grace: 1s
  histogram:
    bounds: [2ms, 4ms, 1400ms, 2s]
  dimensions: [http.request.method, http.route]
  external_labels: { region: eu-1, number: 7, "quoted": "a \"b\": c" }
  lateness: 1d
  future: 1min
  dedup: { window: 5min, memory: 32MiB }
  groups: { limit: 5000, idle: 2h }
  journal: { limit: 2GiB }
  memory: { soft: 512MiB, hard: 600000000 }
receivers:
  max_request: 8MiB
  max_connections: 100
  max_streams: 10
  held: 16MiB
  windows: 8MiB
  read_timeout: 1s
  header_timeout: 2s
  idle_timeout: 3s
  max_connection_age: 1h
  cors:
    allowed_origins: ["https://*.example.com"]
    allowed_headers: [x-scope]
    max_age: 1min
log: { format: json, level: debug }
"#;

#[test]
fn a_whole_file_is_read() {
    let config = parse(WHOLE).expect("is sound");
    let Edge { window, histogram, external_labels, memory, .. } = &config.edge;
    assert_eq!(*window, Duration::seconds(5));
    assert_eq!(histogram.bounds[2], Duration::ms(1400));
    assert_eq!(external_labels["number"], "7");
    assert_eq!(external_labels["quoted"], "a \"b\": c");
    assert_eq!((memory.soft, memory.hard), (Size::mib(512), Size::bytes(600_000_000)));
    assert_eq!(config.receivers.cors.allowed_origins, ["https://*.example.com"]);
    assert_eq!((config.log.format, config.log.level), (Format::Json, Level::Debug));
}

#[test]
fn the_page_reads_back_to_equal_values() {
    for config in [Config::default(), parse(WHOLE).expect("is sound")] {
        let page = config.page();
        assert_eq!(parse(&page).as_ref(), Ok(&config), "{page}");
    }
    assert_ne!(parse(WHOLE), Ok(Config::default()));
}

#[test]
fn what_a_file_leaves_out_has_its_default() {
    for text in ["", "# nothing\n", "{}", "edge: {}\n", "log: {}\nreceivers:\n  cors: {}\n"] {
        assert_eq!(parse(text), Ok(Config::default()), "{text}");
    }
    let one = parse("edge:\n  dedup:\n    window: 1min\n").expect("is sound");
    assert_eq!(one.edge.dedup.memory, Dedup::default().memory);
}

#[test]
fn an_unknown_field_is_refused_by_name_with_its_line_and_the_accepted_ones() {
    assert_eq!(
        refused("edge:\n  window: 10s\n  histogram:\n    bucket: [1s]\n"),
        "line 4: edge.histogram.bucket: there is no such field; edge.histogram has bounds"
    );
    assert_eq!(
        refused("logs: {}\n"),
        "line 1: logs: there is no such field; the file has edge, receivers, store, log"
    );
}

#[test]
fn a_value_of_the_wrong_kind_is_named_with_its_line() {
    let duration = "a duration: a whole number and one of ns, us, ms, s, min, h, d, as in 10s";
    for (text, told) in [
        (
            "edge:\n  histogram:\n    bounds: [1ms, 2ms,\n      3ms, 4]\n",
            format!("line 4: edge.histogram.bounds[3]: string \"4\" is not accepted; give {duration}"),
        ),
        (
            "edge:\n  grace: soon\n",
            format!("line 2: edge.grace: string \"soon\" is not accepted; give {duration}"),
        ),
        (
            "receivers: { held: 64MB }\n",
            "line 1: receivers.held: string \"64MB\" is not accepted; give a size: a whole number of \
             bytes, or one with KiB, MiB, GiB or TiB, as in 64MiB"
                .to_owned(),
        ),
        (
            "log:\n  format: xml\n",
            "line 2: log.format: xml is not accepted; give text or json".to_owned(),
        ),
    ] {
        assert_eq!(refused(text), told);
    }
}

#[test]
fn text_that_is_no_configuration_says_where() {
    let section = "edge: give a section: its fields, indented, or {} for the defaults";
    let number = "line 1: receivers.max_connections: give a whole number";
    for (text, told) in [
        ("edge: {\n", "line 1: edge: unclosed bracket '{'"),
        (
            "edge:\n\twindow: 10s\n",
            "line 2: tabs disallowed within this context (block indentation)",
        ),
        ("edge:\n  window: 10s\n  window: 5s\n", "line 3: edge: window stands here twice"),
        ("edge: 5\n", &format!("line 1: {section}")),
        ("edge:\n", &format!("line 1: {section}")),
        ("edge:\n  dimensions: a\n", "line 2: edge.dimensions: give a list, as in [a, b]"),
        ("edge:\n  window: [1s]\n", "line 2: edge.window: give one value"),
        ("edge:\n  window:\n", "line 2: edge.window: give a value, or leave the field out"),
        ("receivers: { max_connections: many }\n", number),
        ("receivers: { max_connections: -1 }\n", number),
        ("- edge\n", "line 1: give a section: its fields, indented, or {} for the defaults"),
        ("{}\n---\n{}\n", "line 3: only single YAML document expected but multiple found"),
    ] {
        assert_eq!(refused(text), told, "{text:?}");
    }
}

#[test]
fn each_value_that_no_run_can_use_is_named_with_what_is_accepted() {
    for (text, path, accepted) in [
        ("edge: { window: 7s }", "edge.window: 7s", "divides a day"),
        ("edge: { window: 2min }", "edge.window: 2min", "from 1s to 1min"),
        ("edge: { window: 0s }", "edge.window: 0s", "from 1s"),
        ("edge: { window: 1171875us }", "edge.window: 1171875us", "divides a day"),
        ("edge: { window: 30s, grace: 31s }", "edge.grace: 31s", "from 0s to 30s"),
        (
            "edge: { histogram: { bounds: [] } }",
            "edge.histogram.bounds: 0 entries",
            "from 1 to 1024",
        ),
        (
            "edge: { histogram: { bounds: [2ms, 1ms] } }",
            "edge.histogram.bounds[1]: 1ms",
            "more than 2ms",
        ),
        ("edge: { histogram: { bounds: [0ms] } }", "edge.histogram.bounds[0]: 0s", "more than 0s"),
        ("edge: { dimensions: [\"\"] }", "edge.dimensions[0]: \"\"", "1 to 255 bytes"),
        ("edge: { dimensions: [a, b, a] }", "edge.dimensions[2]: \"a\"", "once"),
        ("edge: { external_labels: { a.b: c } }", "edge.external_labels.a.b: \"a.b\"", "letters"),
        ("edge: { external_labels: { le: c } }", "edge.external_labels.le: \"le\"", "not le"),
        ("edge: { external_labels: { __a: c } }", "edge.external_labels.__a: \"__a\"", "two _"),
        ("edge: { external_labels: { a: \"\" } }", "edge.external_labels.a: \"\"", "1 to 255"),
        ("edge: { lateness: 1s }", "edge.lateness: 1s", "from 1min to 3660d"),
        ("edge: { future: 2d }", "edge.future: 2d", "to 1d"),
        ("edge: { dedup: { window: 2d } }", "edge.dedup.window: 2d", "to 1d"),
        ("edge: { dedup: { memory: 1 } }", "edge.dedup.memory: 1 ", "from 1MiB"),
        ("edge: { groups: { limit: 0 } }", "edge.groups.limit: 0", "from 1 to 1000000000"),
        ("edge: { groups: { idle: 1s } }", "edge.groups.idle: 1s", "from 1min"),
        ("edge: { journal: { limit: 1MiB } }", "edge.journal.limit: 1MiB", "from 16MiB"),
        ("edge: { memory: { soft: 1MiB } }", "edge.memory.soft: 1MiB", "from 64MiB"),
        (
            "edge: { memory: { soft: 2GiB } }",
            "edge.memory.hard: 1536MiB",
            "edge.memory.soft, which is 2GiB",
        ),
        ("receivers: { max_request: 1KiB }", "receivers.max_request: 1KiB", "from 64KiB to 1GiB"),
        ("receivers: { max_connections: 0 }", "receivers.max_connections: 0", "from 1 to 1000000"),
        ("receivers: { max_streams: 0 }", "receivers.max_streams: 0", "from 1 to 65536"),
        (
            "receivers: { held: 1MiB }",
            "receivers.held: 1MiB",
            "receivers.max_request, which is 64MiB",
        ),
        (
            "receivers: { windows: 32MiB }",
            "receivers.windows: 32MiB",
            "from 64MiB, 64KiB for each of receivers.max_connections, to 64GiB",
        ),
        (
            "receivers: { max_connections: 4096 }",
            "receivers.windows: 64MiB",
            "from 256MiB, 64KiB for each of receivers.max_connections",
        ),
        ("receivers: { read_timeout: 0s }", "receivers.read_timeout: 0s", "from 100ms to 1h"),
        ("receivers: { header_timeout: 2h }", "receivers.header_timeout: 2h", "from 100ms to 1h"),
        ("receivers: { idle_timeout: 0s }", "receivers.idle_timeout: 0s", "from 1s to 1d"),
        (
            "receivers: { max_connection_age: 0s }",
            "receivers.max_connection_age: 0s",
            "from 1s to 366d",
        ),
        (
            "receivers: { cors: { allowed_origins: [example.com] } }",
            "receivers.cors.allowed_origins[0]: \"example.com\"",
            "https://",
        ),
        (
            "receivers: { cors: { allowed_headers: [\"a b\"] } }",
            "receivers.cors.allowed_headers[0]: \"a b\"",
            "the name of a header",
        ),
        ("receivers: { cors: { max_age: 2d } }", "receivers.cors.max_age: 2d", "to 1d"),
    ] {
        let told = refused(text);
        assert!(told.contains(path) && told.contains(accepted), "{text}: {told}");
        assert!(told.starts_with("line 1: ") || told.starts_with(path), "{text}: {told}");
    }
}

#[test]
fn all_values_that_are_wrong_are_told_at_once_with_their_lines() {
    assert_eq!(
        refused("edge:\n  window: 7s\n  histogram:\n    bounds: [4ms,\n      2ms]\n"),
        "\n  line 2: edge.window: 7s is not accepted; give a duration from 1s to 1min that divides a \
         day, such as 5s, 10s or 30s\
         \n  line 5: edge.histogram.bounds[1]: 2ms is not accepted; give more than 4ms: bounds ascend"
    );
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let told = Config::load(Path::new("/no/such.yaml")).expect_err("is not there").to_string();
    assert!(told.starts_with("configuration file /no/such.yaml: "), "{told}");
}

/// The reference.
const DOCS: &str = include_str!("../../../docs/configuration.md");

#[test]
fn a_log_of_any_size_that_is_accepted_can_be_opened() {
    for size in ["1GiB", "1100MiB", "4GiB", "1TiB"] {
        let text = format!("store: {{ log: {size} }}");
        let config = parse(&text).expect("accepted");
        let log = config.store.options().log;
        assert!(
            log.max_bytes / log.segment_bytes >= tributary_store::log::streams::MIN_SEGMENTS,
            "{size}"
        );
        assert!(log.segment_bytes >= 16 << 20, "{size}: a commit has to fit in a segment");
    }
}

#[test]
fn the_reference_holds_the_defaults_as_they_are_printed() {
    let (_, yaml) = DOCS.split_once("```yaml\n").expect("has a block");
    let (yaml, _) = yaml.split_once("```\n").expect("has an end");
    assert_eq!(
        yaml,
        Config::default().page(),
        "docs/configuration.md: put in what --print-config prints"
    );
}
