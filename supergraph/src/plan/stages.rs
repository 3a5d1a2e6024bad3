//! The artefact of each stage as text, so that a wrong plan is found by the first wrong stage.
//!
//! `options`: who has each field of the operation, and how subgraphs are entered. `choice`: which visits were chosen and what each
//! gives. `fetches`: the requests after all passes, before documents are printed. Relied on by the command line (`--stage`);
//! relies on `assemble` for the finished draft.

use super::PlanStage;
use super::arrivals::ArrivalDraft;
use super::assemble::Ready;
use super::choose::{Solution, Step, Visit};
use super::condition::{ALWAYS, Guard};
use super::fetches::{FetchDraft, LayoutDraft, VisitDraft};
use super::options::Naming;
use super::rows;
use super::selections::{SelectedField, SetId};
use super::shape::{PathElement, TypeSet};
use crate::ids::{NameId, SubgraphId, TypeId};
use crate::model::field_set;
use rustc_hash::FxHashSet;
use std::fmt::Write as _;
use std::rc::Rc;

/// The artefact of a stage. Everything that occurs several times (a selection set reached in two ways with the same outcome) is
/// printed once, so the text is no longer than the work that it shows.
pub(super) fn text(ready: &Ready<'_, '_>, stage: PlanStage) -> String {
    let mut printer = Printer { ready, text: String::new(), depth: 0, seen: FxHashSet::default() };
    match stage {
        PlanStage::Options => printer.block("Options", Printer::options),
        PlanStage::Choice => printer.block("Choice", Printer::choice),
        PlanStage::Fetches => printer.block("Fetches", Printer::fetches),
    }
    printer.text
}

struct Printer<'r, 'a> {
    ready: &'r Ready<'r, 'a>,
    text: String,
    depth: usize,
    /// Solutions that stand further up.
    seen: FxHashSet<*const Solution>,
}

impl<'r> Printer<'r, '_> {
    fn line(&mut self, line: &str) {
        // Writing to a string cannot fail.
        let _ = writeln!(self.text, "{:indent$}{line}", "", indent = 2 * self.depth);
    }

    fn block(&mut self, title: &str, inside: impl FnOnce(&mut Self)) {
        self.line(&format!("{title} {{"));
        self.depth += 1;
        inside(self);
        self.depth -= 1;
        self.line("}");
    }

    // Options.

    fn options(&mut self) {
        for (index, layout) in self.ready.draft.layouts.iter().enumerate() {
            let Some(set) = layout.set else { continue };
            let mut groups: Vec<(Vec<String>, Vec<TypeId>)> = Vec::new();
            for id in layout.types.iter() {
                let lines = self.options_of(id, set, index == 0);
                match groups.iter_mut().find(|(known, _)| *known == lines) {
                    Some((_, types)) => types.push(id),
                    None => groups.push((lines, vec![id])),
                }
            }
            self.block(&self.place(index), |printer| {
                for (lines, types) in groups {
                    printer.block(&printer.names(&TypeSet::new(types)), |printer| {
                        lines.iter().for_each(|line| printer.line(line));
                    });
                }
            });
        }
    }

    /// How objects of a type are entered, then who has each selected field.
    fn options_of(&self, object: TypeId, set: SetId, is_root: bool) -> Vec<String> {
        let (options, mut lines) = (self.ready.options, Vec::new());
        let all = options.supergraph.all_subgraphs();
        for subgraph in all.iter().filter(|_| !is_root) {
            for (naming, key) in options.entries(object, subgraph, true) {
                let naming = self.naming(naming);
                let fields = field_set::print(options.supergraph, &key.fields);
                lines.push(format!("enter {} by {{ {fields} }}{naming}", self.name(subgraph)));
            }
        }
        let fields = &self.ready.selections.set(set).fields;
        let applies = |field: &&SelectedField| self.ready.selections.types(field.types).contains(object);
        for field in fields.iter().filter(applies).filter(|field| field.is_fetched()) {
            let ways = all.iter().filter_map(|subgraph| self.way(object, subgraph, field.name_id));
            let ways: Vec<String> = ways.collect();
            let ways = if ways.is_empty() { "nobody".to_owned() } else { ways.join(" | ") };
            lines.push(format!("{}: {ways}", self.call(field)));
        }
        lines
    }

    /// How a subgraph that has a field gives it.
    fn way(&self, object: TypeId, subgraph: SubgraphId, name: NameId) -> Option<String> {
        let (options, graph) = (self.ready.options, self.ready.options.supergraph);
        let at = options.field(object, subgraph, name)?;
        let mut way = self.name(subgraph).to_owned();
        if at.overridden {
            return None;
        }
        if at.external {
            way.push_str(" where provided");
        } else if let Some(required) = &at.requires {
            let _ = write!(way, " requiring {{ {} }}", field_set::print(graph, required));
        }
        for argument in &at.context_arguments {
            let _ = write!(way, " with {} from context {}", argument.name, argument.context);
        }
        if let Some(provided) = &at.provides {
            let _ = write!(way, " providing {{ {} }}", field_set::print(graph, provided));
        }
        Some(way)
    }

    // Choice.

    fn choice(&mut self) {
        for solution in &self.ready.draft.solutions {
            self.solution(format!("at the root, at least {}", solution.least), solution);
        }
    }

    /// A solution: its visits by number, then what is taken from which of them.
    fn solution(&mut self, title: String, solution: &Rc<Solution>) {
        if !self.seen.insert(Rc::as_ptr(solution)) {
            self.line(&format!("{title} as above"));
            return;
        }
        self.block(&title, |printer| {
            for (number, visit) in solution.visits.iter().enumerate().filter(|(_, visit)| visit.used || visit.door.is_some()) {
                printer.visit(number, visit, solution);
            }
            for step in &solution.steps {
                printer.step(step, solution);
            }
            if solution.unreachable > 0 {
                printer.line(&format!("unreachable: {}", solution.unreachable));
            }
        });
    }

    fn visit(&mut self, number: usize, visit: &Visit, solution: &Solution) {
        let name = self.name(visit.subgraph);
        if let Some(ty) = visit.door {
            let unused = if visit.used { "" } else { ", not used" };
            self.line(&format!(
                "visit {number}: {name} through the parent as {}, stage {}{unused}",
                self.type_name(ty),
                visit.stage
            ));
        }
        if visit.arrivals.iter().all(|arrival| arrival.naming == Naming::Root) && visit.door.is_none() {
            self.line(&format!("visit {number}: {name}, stage {}", visit.stage));
        }
        for arrival in visit.arrivals.iter().filter(|arrival| arrival.naming != Naming::Root) {
            let class = solution.classes.get(arrival.class).map(|class| TypeSet::new(class.types.clone())).unwrap_or_default();
            let needs: Vec<String> = arrival.needs.iter().map(|need| self.set_text(*need)).collect();
            let (naming, types) = (self.naming(arrival.naming), self.names(&class));
            self.line(&format!("visit {number}: {name}, stage {}, {types} by {}{naming}", visit.stage, needs.join(" and ")));
        }
    }

    fn step(&mut self, step: &Step, solution: &Solution) {
        let types_of = |class: &usize| solution.classes.get(*class).map(|class| class.types.clone()).unwrap_or_default();
        let is_single = solution.classes.len() == 1;
        let on = |types: Vec<TypeId>, printer: &Self| {
            if is_single { String::new() } else { format!("{}.", printer.names(&TypeSet::new(types))) }
        };
        match step {
            Step::Typename { class, visit } => self.line(&format!("{}__typename from {visit}", on(types_of(class), self))),
            Step::Leaf { class, set, field, visit } => {
                let Some(field) = self.ready.selections.field(*set, *field) else { return };
                self.line(&format!("{}{} from {visit}", on(types_of(class), self), self.call(field)));
            }
            Step::Object { classes, set, field, doors, solution } => {
                let Some(field) = self.ready.selections.field(*set, *field) else { return };
                let types = on(classes.iter().flat_map(types_of).collect(), self);
                let chosen = solution.selected_doors(doors.len());
                let from: Vec<String> =
                    chosen.iter().filter_map(|index| doors.get(*index)).map(|visit| visit.to_string()).collect();
                self.solution(format!("{types}{} from {}", self.call(field), from.join(" and ")), solution);
            }
        }
    }

    // Fetches.

    fn fetches(&mut self) {
        for (number, group) in self.ready.groups.iter().enumerate() {
            for fetch in group.iter().filter_map(|index| self.ready.draft.fetches.get(*index)) {
                let mut title = format!("request {number}: {}, stage {}", self.name(fetch.subgraph), fetch.stage);
                let after = self.requests(fetch);
                if !after.is_empty() {
                    let _ = write!(title, ", after {}", after.join(" and "));
                }
                if fetch.guard != ALWAYS {
                    let _ = write!(title, ", if {}", self.guard(fetch.guard));
                }
                self.block(&title, |printer| printer.fetch(fetch));
            }
        }
    }

    /// Numbers of the requests that come before a fetch.
    fn requests(&self, fetch: &FetchDraft) -> Vec<String> {
        let holds = |(_, group): &(usize, &Vec<usize>)| group.iter().any(|index| fetch.after.contains(index));
        self.ready.groups.iter().enumerate().filter(holds).map(|(number, _)| number.to_string()).collect()
    }

    fn fetch(&mut self, fetch: &FetchDraft) {
        let Some(visit) = self.ready.draft.visits.get(fetch.visit) else { return };
        let place = self.place(visit.layout);
        self.line(&place);
        for ArrivalDraft { types, naming, needs, .. } in &fetch.arrivals {
            let needs: Vec<String> = needs.iter().map(|need| self.set_text(*need)).collect();
            self.line(&format!("{} by {}{}", self.names(types), needs.join(" and "), self.naming(*naming)));
        }
        self.picks(visit);
    }

    /// What a visit selects, a slot a line.
    fn picks(&mut self, visit: &'r VisitDraft) {
        let Some(layout) = self.ready.draft.layouts.get(visit.layout) else { return };
        if visit.typename {
            self.line("__typename");
        }
        for ((slot, _), pick) in &visit.picks {
            let mut title = self.slot(layout, *slot, &pick.types);
            if pick.internal && pick.guard.is_none() {
                title.push_str(" (for keys and requirements)");
            }
            if let Some(guard) = pick.guard.filter(|guard| *guard != ALWAYS) {
                let _ = write!(title, " if {}", self.guard(guard));
            }
            match pick.below.and_then(|below| self.ready.draft.visits.get(below)) {
                None => self.line(&title),
                Some(below) => self.block(&title, |printer| printer.picks(below)),
            }
        }
    }

    fn slot(&self, layout: &LayoutDraft, slot: usize, types: &[TypeId]) -> String {
        let Some(slot) = layout.slots.get(slot) else { return String::new() };
        let on = if types.len() == layout.types.len() {
            String::new()
        } else {
            format!("{}.", self.names(&TypeSet::new(types.to_vec())))
        };
        let Some(call) = self.ready.selections.call(slot.signature) else { return on };
        let alias = if *call.name == *slot.key { String::new() } else { format!("{}: ", slot.key) };
        format!("{on}{alias}{}{}", call.name, call.arguments)
    }

    // Words.

    /// Where a layout stands.
    fn place(&self, layout: usize) -> String {
        let path: Vec<String> = rows::path(self.ready, layout)
            .iter()
            .map(|element| match element {
                PathElement::Field(key) => key.to_string(),
                PathElement::Items => "@".to_owned(),
            })
            .collect();
        if path.is_empty() { "at the root".to_owned() } else { format!("at {}", path.join(".")) }
    }

    fn name(&self, subgraph: SubgraphId) -> &'r str {
        &self.ready.options.supergraph.subgraph(subgraph).name
    }

    fn type_name(&self, id: TypeId) -> &'r str {
        &self.ready.options.supergraph.get_type(id).name
    }

    fn names(&self, types: &TypeSet) -> String {
        let names: Vec<&str> = types.iter().map(|id| self.type_name(id)).collect();
        names.join("|")
    }

    fn naming(&self, naming: Naming) -> String {
        match naming {
            Naming::Interface(id) => format!(" as {}", self.type_name(id)),
            Naming::Concrete | Naming::Root => String::new(),
        }
    }

    fn call(&self, field: &SelectedField) -> String {
        let alias = if field.key == field.name { String::new() } else { format!("{}: ", field.key) };
        let arguments = self.ready.selections.call(field.signature).map(|call| call.arguments.clone()).unwrap_or_default();
        format!("{alias}{}{arguments}", field.name)
    }

    /// A key or requirement. Its depth is bounded where supergraphs are read.
    fn set_text(&self, set: SetId) -> String {
        let mut text = String::from("{");
        for field in &self.ready.selections.set(set).fields {
            let _ = write!(text, " {}", self.call(field));
            if let Some(below) = field.below {
                let _ = write!(text, " {}", self.set_text(below));
            }
        }
        text.push_str(" }");
        text
    }

    fn guard(&self, guard: Guard) -> String {
        let all = self.ready.selections.guards.get(guard).any.iter().map(|tests| {
            let tests = tests.iter().map(|test| format!("{}${}", if test.is { "" } else { "not " }, test.variable));
            tests.collect::<Vec<_>>().join(" and ")
        });
        all.collect::<Vec<_>>().join(" or ")
    }
}
