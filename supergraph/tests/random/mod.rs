//! Small random federations of entities and operations on them, for the oracle.
//!
//! Subgraphs share fields, know entities by one of two keys or both, and some fields require another. Many of them cannot be composed,
//! since something in them cannot be reached; those are left out by whoever uses them.

use std::fmt::Write as _;
use supergraph::compose::Source;

/// Numbers that depend on a seed only (SplitMix64).
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    /// A number below `limit`.
    pub fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % limit as u64) as usize
    }

    /// True in so many of a hundred cases.
    pub fn percent(&mut self, share: usize) -> bool {
        self.below(100) < share
    }
}

/// Subgraphs `s0`, `s1`, ... with the query root (type 0) and entities.
pub struct Federation {
    pub subgraphs: usize,
    pub types: Vec<Type>,
}

pub struct Type {
    /// Per subgraph: its keys, each a list of fields.
    pub keys: Vec<Vec<Vec<usize>>>,
    pub fields: Vec<Field>,
}

pub struct Field {
    pub name: String,
    /// The entity that it leads to.
    pub ty: Option<usize>,
    /// Per subgraph that resolves it: the field that it requires there.
    pub at: Vec<Option<Option<usize>>>,
}

/// What is selected of the objects at one place.
pub struct Position {
    pub ty: usize,
    pub leaves: Vec<usize>,
    pub below: Vec<(usize, Position)>,
}

impl Federation {
    pub fn new(random: &mut Random) -> Self {
        let subgraphs = 2 + random.below(3);
        let entities = 1 + random.below(3);
        let mut federation = Self { subgraphs, types: Vec::new() };
        for ty in 0..=entities {
            let made = federation.random_type(ty, entities, random);
            federation.types.push(made);
        }
        federation
    }

    fn random_type(&self, ty: usize, entities: usize, random: &mut Random) -> Type {
        let mut made = Type { keys: vec![Vec::new(); self.subgraphs], fields: Vec::new() };
        if ty > 0 {
            self.add_keys(&mut made, random);
            for leaf in 0..1 + random.below(5) {
                let at = self.resolvers(&made, random);
                made.fields.push(Field { name: format!("f{leaf}"), ty: None, at });
            }
            self.add_requirements(&mut made, random);
        }
        for object in 0..1 + random.below(2) {
            let at = self.resolvers(&made, random);
            made.fields.push(Field { name: format!("o{object}"), ty: Some(1 + random.below(entities)), at });
        }
        made
    }

    /// Keys `{ id }` and `{ k }`, by which subgraphs know the type.
    fn add_keys(&self, made: &mut Type, random: &mut Random) {
        let choices: Vec<usize> = (0..self.subgraphs).map(|_| random.below(10)).collect();
        for (key, name) in ["id", "k"].into_iter().enumerate() {
            let is_there = |choice: &usize| if key == 0 { *choice < 7 } else { *choice >= 6 };
            let at: Vec<_> = choices.iter().map(|choice| is_there(choice).then_some(None)).collect();
            made.keys.iter_mut().zip(&at).filter(|(_, at)| at.is_some()).for_each(|(keys, _)| keys.push(vec![key]));
            made.fields.push(Field { name: name.into(), ty: None, at });
        }
    }

    /// One or more subgraphs.
    fn resolvers(&self, _: &Type, random: &mut Random) -> Vec<Option<Option<usize>>> {
        let always = random.below(self.subgraphs);
        let share = [10, 30, 60][random.below(3)];
        (0..self.subgraphs).map(|subgraph| (subgraph == always || random.percent(share)).then_some(None)).collect()
    }

    /// Fields that one subgraph resolves from a field that it does not have.
    fn add_requirements(&self, made: &mut Type, random: &mut Random) {
        for number in 0..random.below(3) {
            let (subgraph, required) = (random.below(self.subgraphs), 2 + random.below(made.fields.len() - 2));
            let is_outside = made.fields[required].at[subgraph].is_none();
            if is_outside && !made.keys[subgraph].is_empty() {
                let mut at = vec![None; self.subgraphs];
                at[subgraph] = Some(Some(required));
                made.fields.push(Field { name: format!("r{number}"), ty: None, at });
            }
        }
    }

    pub fn subgraph_named(&self, name: &str) -> usize {
        name.trim_start_matches('s').parse().unwrap()
    }

    /// The subgraphs' schemas.
    pub fn sources(&self) -> Vec<Source> {
        let source = |subgraph| Source { name: format!("s{subgraph}"), url: String::new(), sdl: self.sdl(subgraph) };
        (0..self.subgraphs).map(source).collect()
    }

    fn sdl(&self, subgraph: usize) -> String {
        let mut text = String::from(
            "extend schema @link(url: \"https://specs.apollo.dev/federation/v2.5\", import: [\"@key\", \"@requires\", \"@external\", \"@shareable\"])\n",
        );
        for (index, ty) in self.types.iter().enumerate() {
            let mut fields = String::new();
            for (number, field) in ty.fields.iter().enumerate() {
                let of = field.ty.map_or("Int".to_owned(), |ty| self.name(ty));
                let is_required = ty.fields.iter().any(|other| other.at[subgraph] == Some(Some(number)));
                match field.at[subgraph] {
                    Some(None) => write!(fields, " {}: {of} @shareable", field.name).unwrap(),
                    Some(Some(required)) => {
                        let required = &ty.fields[required].name;
                        write!(fields, " {}: {of} @requires(fields: \"{required}\")", field.name).unwrap();
                    }
                    None if is_required => write!(fields, " {}: {of} @external", field.name).unwrap(),
                    None => {}
                }
            }
            let named = |key: &Vec<usize>| key.iter().map(|field| ty.fields[*field].name.as_str()).collect::<Vec<_>>().join(" ");
            let keys = ty.keys[subgraph].iter().map(|key| format!(" @key(fields: \"{}\")", named(key)));
            if !fields.is_empty() {
                writeln!(text, "type {}{} {{{fields} }}", self.name(index), keys.collect::<String>()).unwrap();
            }
        }
        text
    }

    fn name(&self, ty: usize) -> String {
        if ty == 0 { "Query".to_owned() } else { format!("T{ty}") }
    }

    /// A random operation.
    pub fn operation(&self, random: &mut Random) -> Position {
        let depth = 1 + random.below(3);
        self.position(0, depth, random)
    }

    fn position(&self, ty: usize, depth: usize, random: &mut Random) -> Position {
        let mut position = Position { ty, leaves: Vec::new(), below: Vec::new() };
        for (index, field) in self.types[ty].fields.iter().enumerate() {
            match field.ty {
                // A key that no subgraph has is no field.
                None if field.at.iter().any(Option::is_some) && random.percent(45) => position.leaves.push(index),
                Some(below) if depth > 0 && (ty == 0 || random.percent(50)) => {
                    position.below.push((index, self.position(below, depth - 1, random)));
                }
                _ => {}
            }
        }
        if position.leaves.is_empty() && position.below.is_empty() {
            let leaf = self.types[ty].fields.iter().position(|field| field.ty.is_none() && field.at.iter().any(Option::is_some));
            position.leaves.extend(leaf);
        }
        position
    }

    /// An operation as text.
    pub fn text(&self, position: &Position) -> String {
        let ty = &self.types[position.ty];
        let mut fields: Vec<String> = position.leaves.iter().map(|leaf| ty.fields[*leaf].name.clone()).collect();
        fields.extend(position.below.iter().map(|(field, below)| format!("{} {}", ty.fields[*field].name, self.text(below))));
        format!("{{ {} }}", fields.join(" "))
    }
}
