//! Reads the whole file into a [`Config`], noting every fault on the way.

use std::ops::Range;
use std::path::Path;
use std::time::Duration;

use engine::compliance::ModeSet;
use engine::crypto::Cards;
use toml::de::{DeTable, DeValue};

use super::cex;
use super::fault::Source;
use super::labels;
use super::modes;
use super::negotiation;
use super::reader::{Node, Table};
use super::schema::{
    Card, CardEngine, CardType, Config, Cpacf, EcdsaRoute, Log, LogFormat, LogTarget, NoCard,
    Offload, Provider, Route, Server, TicketRing, Verify,
};
use super::service::{self, Places};

/// What could be read. Only to be used as a configuration when no error was noted.
#[derive(Debug)]
pub(super) struct Draft {
    pub(super) config: Config,
    /// One per service.
    pub(super) places: Vec<Places>,
    /// Where `log.target` stands.
    pub(super) log: Option<Range<usize>>,
    /// Where `admin.socket` stands.
    pub(super) admin: Option<Range<usize>>,
    /// Where `server.keydb` stands.
    pub(super) keydb: Option<Range<usize>>,
}

/// Reads the document.
pub(super) fn read<'a>(source: &'a Source<'a>, document: &'a DeTable<'a>) -> Draft {
    let top = Table::new(source, document, "", String::new(), 0..0);
    let directory = source.file.parent().unwrap_or(Path::new(""));
    let server = top.get("server").and_then(|node| read_server(&node, directory));
    let server = server.unwrap_or_default();
    let mut services = Vec::new();
    let mut places = Vec::new();
    for (index, node) in tables(&top, "service").iter().enumerate() {
        if let Some((service, place)) = service::read(node, index, &server, directory) {
            services.push(service);
            places.push(place);
        }
    }
    let nothing = |node: Node<'_>| matches!(node.value(), DeValue::Array(a) if a.is_empty());
    if top.get("service").is_none_or(nothing) {
        source.error(
            &top.get("service").map_or(0..0, |node| node.span()),
            "service",
            "there is no service, so nothing would be served".to_owned(),
            "add [[service]] with name, listen, backend, cert and key".to_owned(),
        );
    }
    let socket = top.get("admin").and_then(|node| node.table("admin")?.get("socket"));
    let cards = read_cards(&top);
    let all_modes = services.iter().fold(server.mode.clone(), |all, s| all.union(&s.mode));
    let config = Config {
        file: source.file.to_owned(),
        cex: top.get("cex").and_then(|node| cex::read(&node)).unwrap_or_default(),
        faults: cex::read_faults(&tables(&top, "fault"), &server, &cards),
        cpacf: top.get("cpacf").and_then(|node| read_cpacf(&node)).unwrap_or_default(),
        cards,
        route: read_route(&top, &all_modes),
        admin_socket: socket.as_ref().and_then(|node| service::path(node, directory)),
        tickets: top.get("tickets").and_then(|node| read_tickets(&node)).unwrap_or_default(),
        server,
        services,
    };
    labels::check_database(source, &config, &places);
    let log = within(&top, "server", &["log", "target"]);
    let keydb = within(&top, "server", &["keydb"]);
    Draft { config, places, log, admin: socket.map(|node| node.span()), keydb }
}

/// Where a value in nested tables stands.
fn within(top: &Table<'_>, first: &'static str, path: &[&'static str]) -> Option<Range<usize>> {
    let (last, tables) = path.split_last()?;
    let mut value = top.get(first)?.value();
    for table in tables {
        value = value.get(*table)?.get_ref();
    }
    Some(value.get(*last)?.span())
}

/// The elements of a list of tables.
fn tables<'a>(top: &Table<'a>, name: &'static str) -> Vec<Node<'a>> {
    let Some(node) = top.get(name) else { return Vec::new() };
    if matches!(node.value(), DeValue::Table(_)) {
        node.error(
            format!("[{name}] defines one table where a list of tables is expected"),
            format!("write [[{name}]] with two brackets; it can then be repeated"),
        );
        return Vec::new();
    }
    node.elements().unwrap_or_default()
}

fn read_server(node: &Node<'_>, directory: &Path) -> Option<Server> {
    let table = node.table("server")?;
    let default = Server::default();
    let log = table.get("log").and_then(|node| read_log(&node, directory));
    let drain = table.get("drain");
    let drain = drain.and_then(|node| node.duration(Duration::ZERO..=Duration::from_secs(3600)));
    Some(Server {
        mode: modes::list(&table, "mode"),
        audit: modes::list(&table, "audit"),
        workers: table.get("workers").and_then(|node| node.integer(0..=256)).unwrap_or(0),
        offload: read_offload(&table),
        log: log.unwrap_or_default(),
        drain: drain.unwrap_or(default.drain),
        fault_injection: table.get("fault_injection").and_then(|n| cex::permission(&n))
            == Some(true),
        limits: service::server_limits(&table),
        keydb: labels::read_database(&table, directory),
        enable: negotiation::rule(&table, "enable"),
        exempt: negotiation::rule(&table, "exempt"),
    })
}

fn read_offload(server: &Table<'_>) -> Offload {
    let words = [("fiber", Offload::Fiber), ("pool", Offload::Pool), ("inline", Offload::Inline)];
    let Some(node) = server.get("offload") else { return Offload::default() };
    let offload = node.word(&words, &[]).unwrap_or_default();
    if offload == Offload::Fiber && !engine::handshake::HAS_FIBERS {
        node.error(
            "this build has no fibers: they cannot be made for its target",
            "write offload = \"pool\", or leave it out",
        );
    }
    offload
}

fn read_log(node: &Node<'_>, directory: &Path) -> Option<Log> {
    let table = node.table("server.log")?;
    let words = [("json", LogFormat::Json), ("text", LogFormat::Text)];
    let target = table.get("target").and_then(|node| match node.text()? {
        "stderr" => Some(LogTarget::Stderr),
        "stdout" => {
            node.error(
                "records do not go to standard output",
                "write \"stderr\" or the path of a file (\"./stdout\" if that is its name)",
            );
            None
        }
        _ => service::path(&node, directory).map(LogTarget::File),
    });
    Some(Log {
        format: table.get("format").and_then(|node| node.word(&words, &[])).unwrap_or_default(),
        target: target.unwrap_or_default(),
        ..Log::default()
    })
}

fn read_cpacf(node: &Node<'_>) -> Option<Cpacf> {
    let table = node.table("cpacf")?;
    let words = [("host", Provider::Host), ("portable", Provider::Portable)];
    let node = table.get("provider")?;
    let provider = node.word(&words, &["s390x"]).unwrap_or_default();
    if provider == Provider::Portable && !engine::crypto::HAS_PORTABLE {
        node.error(
            "this architecture has no mask for the processor's units: portable is for x86-64",
            "write provider = \"host\", or leave it out",
        );
    }
    Some(Cpacf { provider })
}

fn read_cards(top: &Table<'_>) -> Vec<Card> {
    let mut cards: Vec<Card> = Vec::new();
    for (index, node) in tables(top, "card").iter().enumerate() {
        let node = node.renamed(format!("card[{index}]"));
        let Some(table) = node.table("card") else { continue };
        let types = [("CEX8A", CardType::Cex8A), ("CEX8C", CardType::Cex8C)];
        let id = table.require("id", "number the card, e.g. id = 0").and_then(|node| {
            let id = node.byte()?;
            if cards.iter().any(|card| card.id == id) {
                node.error(format!("card {id} is defined twice"), "give each card its own number");
            }
            Some(id)
        });
        let kind = table
            .require("type", "write \"CEX8A\" (accelerator) or \"CEX8C\" (coprocessor)")
            .and_then(|node| node.word(&types, &["CEX8P"]));
        let domains = table
            .require("domains", "name the domains, e.g. domains = [6, 7]")
            .map(|node| read_domains(&node))
            .unwrap_or_default();
        let engine = table.get("engine").and_then(|node| read_engine(&node));
        if let (Some(id), Some(kind)) = (id, kind) {
            cards.push(Card { id, kind, domains, engine: engine.unwrap_or_default() });
        }
    }
    cards
}

fn read_engine(node: &Node<'_>) -> Option<CardEngine> {
    let words =
        [("auto", CardEngine::Auto), ("single", CardEngine::Single), ("batch", CardEngine::Batch)];
    let engine = node.word(&words, &[])?;
    if engine == CardEngine::Batch && !Cards::batches() {
        node.error(
            "four RSA requests together need a processor with AVX-512 IFMA, which this one is not",
            "write \"auto\": it takes \"single\" where \"batch\" cannot run or does not pay",
        );
        return None;
    }
    Some(engine)
}

fn read_domains(node: &Node<'_>) -> Vec<u8> {
    let elements = node.elements().unwrap_or_default();
    if elements.is_empty() {
        node.error("a card without a domain has no queue", "name at least one domain");
    }
    let mut domains = Vec::new();
    for element in elements {
        let Some(domain) = element.byte() else { continue };
        if domains.contains(&domain) {
            element.error(format!("domain {domain} is named twice"), "remove one of them");
        } else {
            domains.push(domain);
        }
    }
    domains.sort_unstable();
    domains
}

fn read_route(top: &Table<'_>, modes: &ModeSet) -> Route {
    let node = top.get("route");
    let table = node.as_ref().and_then(|node| node.table("route"));
    let mut route = table.as_ref().map(read_route_table).unwrap_or_default();
    modes::hold(&mut route, table.as_ref(), modes);
    route
}

fn read_route_table(table: &Table<'_>) -> Route {
    if let Some(rsa) = table.get("rsa") {
        let _ = rsa.word(&[("cex", ())], &["cpacf", "refused"]);
    }
    let ecdsa =
        [("auto", EcdsaRoute::Auto), ("cex", EcdsaRoute::Cex), ("cpacf", EcdsaRoute::Cpacf)];
    let no_card = [("fail", NoCard::Fail), ("software", NoCard::Software)];
    let verify = [("rsa", Verify::Rsa), ("all", Verify::All)];
    Route {
        ecdsa: table
            .get("ecdsa")
            .and_then(|node| node.word(&ecdsa, &["refused"]))
            .unwrap_or_default(),
        no_card: table.get("no_card").and_then(|node| node.word(&no_card, &[])).unwrap_or_default(),
        verify: table.get("verify").and_then(|node| node.word(&verify, &[])).unwrap_or_default(),
    }
}

fn read_tickets(node: &Node<'_>) -> Option<TicketRing> {
    // RFC 8446 §4.6.1: no client may use a ticket for more than seven days.
    let range = Duration::from_secs(60)..=Duration::from_secs(7 * 86_400);
    let table = node.table("tickets")?;
    let default = TicketRing::default();
    let read = |name| table.get(name).and_then(|node| node.duration(range.clone()));
    let ring = TicketRing {
        rotate: read("rotate").unwrap_or(default.rotate),
        lifetime: read("lifetime").unwrap_or(default.lifetime),
    };
    if ring.lifetime < ring.rotate {
        node.error(
            "tickets would die before the key that made them is replaced",
            "write a `lifetime` of at least `rotate`",
        );
    }
    Some(ring)
}
