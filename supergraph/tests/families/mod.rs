//! Federations and operations that are hard to plan, each in any size: what a planner must not explode on.
//!
//! Used by the benchmark of planning and by the test that its time grows about linearly.

/// A way to make a federation and an operation of a size.
pub struct Family {
    pub name: &'static str,
    /// The size that planning must cope with; twice of it is planned too.
    pub size: usize,
    /// Subgraphs' schemas and the operation.
    pub make: fn(usize) -> (Vec<String>, String),
}

const LINK: &str = "extend schema @link(url: \"https://specs.apollo.dev/federation/v2.5\", import: [\"@key\", \"@requires\", \"@external\", \"@shareable\"])\n";

/// All families, with the sizes that they are held to.
pub const FAMILIES: &[Family] = &[
    Family { name: "shared_depth: 20 subgraphs share every field", size: 8, make: shared_depth },
    Family { name: "interface: implementations in 5 subgraphs", size: 100, make: interface },
    Family { name: "fragments: doubled at each level", size: 30, make: fragments },
    Family { name: "aliases: of an entity field", size: 2_000, make: aliases },
    Family { name: "requires: a chain", size: 20, make: requires },
    Family { name: "fields: of entities in 5 subgraphs", size: 5_000, make: fields },
    Family { name: "shared_fields: in so many subgraphs", size: 32, make: shared_fields },
    Family { name: "wide_entities: in so many subgraphs", size: 24, make: wide_entities },
];

fn join(count: usize, each: impl Fn(usize) -> String) -> String {
    (0..count).map(each).collect::<Vec<_>>().join(" ")
}

/// Every field of a recursive entity in each of 20 subgraphs, and one field that only its subgraph has; selected `depth` deep.
fn shared_depth(depth: usize) -> (Vec<String>, String) {
    let subgraph = |own| {
        format!(
            "{LINK}type Query {{ t: T @shareable }} type T @key(fields: \"id\") {{ id: ID! next: T @shareable {} v{own}: Int }}",
            join(5, |field| format!("s{field}: Int @shareable"))
        )
    };
    let open = "s0 s1 s2 s3 s4 next { ".repeat(depth);
    ((0..20).map(subgraph).collect(), format!("{{ t {{ {open} s0 v3 v7 {} }} }}", "} ".repeat(depth)))
}

/// An interface whose implementations are spread over 5 subgraphs, a fragment on each.
fn interface(implementations: usize) -> (Vec<String>, String) {
    let subgraph = |own: usize| {
        let query = if own == 0 { "type Query { all: [I!]! }" } else { "" };
        let types = join(implementations, |ty| {
            let field = if ty % 4 + 1 == own { format!("f{own}: Int") } else { String::new() };
            let inside = if own == 0 { "id: ID! name: String" } else { "id: ID!" };
            let (implements, kept) = if own == 0 { (" implements I", true) } else { ("", !field.is_empty()) };
            if kept { format!("type T{ty}{implements} @key(fields: \"id\") {{ {inside} {field} }}") } else { String::new() }
        });
        let interface = if own == 0 { "interface I { id: ID! name: String }" } else { "" };
        format!("{LINK}{query} {interface} {types}")
    };
    let fragments = join(implementations, |ty| format!("... on T{ty} {{ f{} }}", ty % 4 + 1));
    ((0..5).map(subgraph).collect(), format!("{{ all {{ name {fragments} }} }}"))
}

/// Fragments that each spread the next one twice: one path for each subset of them, if they were spread as text.
fn fragments(levels: usize) -> (Vec<String>, String) {
    let fragments = join(levels, |level| {
        let inside =
            if level + 1 < levels { format!("...F{0} ...F{0} ... on T {{ ...F{0} }}", level + 1) } else { "g".to_owned() };
        format!("fragment F{level} on T {{ f {inside} }}")
    });
    (two_subgraphs("f: Int", "g: Int"), format!("{{ t {{ ...F0 }} }} {fragments}"))
}

fn aliases(count: usize) -> (Vec<String>, String) {
    let aliases = join(count, |alias| format!("a{alias}: g(of: {alias})"));
    (two_subgraphs("f: Int", "g(of: Int): Int"), format!("{{ t {{ {aliases} }} }}"))
}

/// Fields that each require the one before, which the other subgraph has.
fn requires(length: usize) -> (Vec<String>, String) {
    let subgraph = |own| {
        let fields = join(length, |field| match (field % 2 == own, field) {
            (true, 0) => "r0: Int".to_owned(),
            (true, _) => format!("r{field}: Int @requires(fields: \"r{}\")", field - 1),
            _ if field + 1 < length => format!("r{field}: Int @external"),
            _ => String::new(),
        });
        let query = if own == 0 { "type Query { t: T }" } else { "" };
        format!("{LINK}{query} type T @key(fields: \"id\") {{ id: ID! {fields} }}")
    };
    (vec![subgraph(0), subgraph(1)], format!("{{ t {{ r{} }} }}", length - 1))
}

/// An operation of so many fields: 10 of each of the objects, 5 subgraphs deep.
fn fields(count: usize) -> (Vec<String>, String) {
    let subgraph = |own: usize| {
        let query = if own == 0 { "type Query { t(n: Int): T }" } else { "" };
        format!("{LINK}{query} type T @key(fields: \"id\") {{ id: ID! {} }}", join(2, |field| format!("f{own}{field}: Int")))
    };
    let all = join(5, |own| format!("f{own}0 f{own}1"));
    ((0..5).map(subgraph).collect(), format!("{{ {} }}", join(count / 10, |at| format!("t{at}: t(n: {at}) {{ {all} }}"))))
}

/// An entity of which so many subgraphs have the same 12 fields.
fn shared_fields(subgraphs: usize) -> (Vec<String>, String) {
    let root = format!("{LINK}type Query {{ t: T }} type T @key(fields: \"id\") {{ id: ID! }}");
    let shared = join(12, |field| format!("f{field}: Int @shareable"));
    let other = format!("{LINK}type T @key(fields: \"id\") {{ id: ID! {shared} }}");
    let all = std::iter::once(root).chain(std::iter::repeat_n(other, subgraphs)).collect();
    (all, format!("{{ t {{ {} }} }}", join(12, |field| format!("f{field}"))))
}

/// As many entities as subgraphs, each with a field in every subgraph; six of them selected, and one below each.
fn wide_entities(subgraphs: usize) -> (Vec<String>, String) {
    let subgraph = |own: usize| {
        let types = join(subgraphs, |ty| {
            let next = if ty == own { format!("r{own}: T{}", (own + 1) % subgraphs) } else { String::new() };
            format!("type T{ty} @key(fields: \"id\") {{ id: ID! f{own}: Int {next} }}")
        });
        format!("{LINK}type Query {{ q{own}: [T{own}] }} {types}")
    };
    let fields = join(subgraphs, |field| format!("f{field}"));
    let selected = join(subgraphs.min(6), |at| format!("q{at} {{ {fields} r{at} {{ {fields} }} }}"));
    ((0..subgraphs).map(subgraph).collect(), format!("{{ {selected} }}"))
}

fn two_subgraphs(first: &str, second: &str) -> Vec<String> {
    vec![
        format!("{LINK}type Query {{ t: T }} type T @key(fields: \"id\") {{ id: ID! {first} }}"),
        format!("{LINK}type T @key(fields: \"id\") {{ id: ID! {second} }}"),
    ]
}
