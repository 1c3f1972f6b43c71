//! Faults that show only when services are compared: names, addresses, server names.

use std::collections::HashMap;
use std::net::SocketAddr;

use super::address::overlap;
use super::fault::Source;
use super::schema::{BackendAddress, ServerName, Service, Tls};
use super::service::Places;

/// Compares all services with each other.
pub(super) fn check(source: &Source<'_>, services: &[Service], places: &[Places]) {
    unique_names(source, services, places);
    addresses_bindable(source, services, places);
    told_apart_by_sni(source, services, places);
    one_trust_per_address(source, services, places);
    alone_without_tls(source, services, places);
    no_loop(source, services, places);
}

fn unique_names(source: &Source<'_>, services: &[Service], places: &[Places]) {
    let mut seen: HashMap<&str, &Places> = HashMap::new();
    for (service, place) in services.iter().zip(places).filter(|(s, _)| !s.name.is_empty()) {
        if let Some(first) = seen.insert(&service.name, place) {
            let line = source.place(first.name.start).line;
            source.error(
                &place.name,
                &format!("{}.name", place.prefix),
                format!(
                    "the name \"{}\" is already taken by the service at line {line}",
                    service.name
                ),
                "give each service its own name: it stands in every record".to_owned(),
            );
        }
    }
}

/// Each address of each service, with where it stands.
fn listeners<'s>(
    services: &'s [Service],
    places: &'s [Places],
) -> Vec<(SocketAddr, &'s Service, &'s Places, &'s std::ops::Range<usize>)> {
    let pairs = services.iter().zip(places);
    pairs
        .flat_map(|(service, place)| {
            let spans = place.listen.iter();
            service.listen.iter().zip(spans).map(move |(at, span)| (*at, service, place, span))
        })
        .collect()
}

/// No address twice within a service, none inside a wildcard on the same port.
fn addresses_bindable(source: &Source<'_>, services: &[Service], places: &[Places]) {
    let all = listeners(services, places);
    for (index, (address, _, place, span)) in all.iter().enumerate() {
        for (earlier, _, earlier_place, earlier_span) in &all[..index] {
            let line = source.place(earlier_span.start).line;
            let (what, remedy) = if overlap(*address, *earlier) {
                (
                    format!("{address} and {earlier} (line {line}) cannot both be bound"),
                    "use the same address in both, told apart by `sni`, or different ports",
                )
            } else if address == earlier && std::ptr::eq(*place, *earlier_place) {
                (format!("{address} is named twice"), "remove one of them")
            } else {
                continue;
            };
            source.error(span, &format!("{}.listen", place.prefix), what, remedy.to_owned());
        }
    }
}

/// Per address at most one default service, and no server name twice.
fn told_apart_by_sni(source: &Source<'_>, services: &[Service], places: &[Places]) {
    let mut owners: HashMap<(SocketAddr, Option<&ServerName>), (&Service, &Places)> =
        HashMap::new();
    for (address, service, place, span) in listeners(services, places) {
        let default = [None];
        let named: Vec<Option<&ServerName>> = service.sni.iter().map(Some).collect();
        let names = if named.is_empty() { &default[..] } else { &named[..] };
        for (index, name) in names.iter().enumerate() {
            let Some((other, other_place)) = owners.insert((address, *name), (service, place))
            else {
                continue;
            };
            if std::ptr::eq(place, other_place) {
                if let (Some(name), Some(span)) = (name, place.sni.get(index))
                    && service.listen.first() == Some(&address)
                {
                    let key = format!("{}.sni", place.prefix);
                    source.error(
                        span,
                        &key,
                        format!("{name} is named twice"),
                        "remove one of them".to_owned(),
                    );
                }
                continue;
            }
            report_conflict(source, *name, (address, place, span), (other, other_place));
        }
    }
}

/// Whether a header must come is known before the server name is: services that share an address
/// must trust the same peers.
fn one_trust_per_address(source: &Source<'_>, services: &[Service], places: &[Places]) {
    let mut first: HashMap<SocketAddr, (&Service, &Places)> = HashMap::new();
    for (address, service, place, _) in listeners(services, places) {
        let (other, other_place) = *first.entry(address).or_insert((service, place));
        let within = |a: &Service, b: &Service| {
            a.accept_proxy.iter().all(|network| b.accept_proxy.contains(network))
        };
        if within(service, other) && within(other, service) {
            continue;
        }
        let line = source.place(other_place.accept_proxy.start).line;
        source.error(
            &place.accept_proxy,
            &format!("{}.accept_proxy", place.prefix),
            format!(
                "{address} is shared with \"{}\" (line {line}), which trusts other peers; the \
                 PROXY header comes before the server name that tells the services apart",
                other.name
            ),
            "write the same `accept_proxy` in both, or give one of them another address".to_owned(),
        );
    }
}

/// Without TLS no client says whom it wants.
fn alone_without_tls(source: &Source<'_>, services: &[Service], places: &[Places]) {
    let all = listeners(services, places);
    for (address, service, place, span) in &all {
        let shared = |other: &&(SocketAddr, &Service, &Places, _)| {
            other.0 == *address && !std::ptr::eq(other.1, *service)
        };
        if service.tls == Tls::Off
            && let Some((_, other, ..)) = all.iter().find(shared)
        {
            source.error(
                span,
                &format!("{}.listen", place.prefix),
                format!(
                    "{address} is shared with \"{}\", and without TLS (tls = \"off\") no client \
                     says which of the two it wants",
                    other.name
                ),
                "give one of them another address".to_owned(),
            );
        }
    }
}

fn report_conflict(
    source: &Source<'_>,
    name: Option<&ServerName>,
    (address, place, span): (SocketAddr, &Places, &std::ops::Range<usize>),
    (other, other_place): (&Service, &Places),
) {
    let here = source.place(place.name.start).line;
    let there = source.place(other_place.name.start).line;
    let who = if other.name.is_empty() { &other_place.prefix } else { &other.name };
    let what = match name {
        Some(name) => format!(
            "{address} with server name {name} belongs to \"{who}\" (line {there}) and to this \
             service (line {here})"
        ),
        None => format!(
            "{address} has two default services: \"{who}\" (line {there}) and this one \
             (line {here}), neither with `sni`"
        ),
    };
    let remedy = "tell them apart: give one of them its own `sni` names, or another address";
    source.error(span, &format!("{}.listen", place.prefix), what, remedy.to_owned());
}

/// A backend that is one of our own listeners would connect to ourselves without end.
fn no_loop(source: &Source<'_>, services: &[Service], places: &[Places]) {
    let all = listeners(services, places);
    for (service, place) in services.iter().zip(places) {
        for (backend, span) in service.backends.iter().zip(&place.backends) {
            let own = all
                .iter()
                .find(|(address, ..)| backend.addresses.contains(&BackendAddress::Tcp(*address)));
            if let Some((address, owner, ..)) = own {
                source.error(
                    span,
                    &format!("{}.backend", place.prefix),
                    format!("{address} is where service \"{}\" listens: a loop", owner.name),
                    "name the plain service behind, not a TLS listener of this file".to_owned(),
                );
            }
        }
    }
}
