//! `@shareable`: once on each declaration, and not on fields of interfaces.
//!
//! Spec: <https://www.apollographql.com/docs/graphos/schema-design/federated-schemas/reference/directives#shareable>

use crate::diagnostics::Diagnostic;
use crate::subgraph::{FederationDirective, Subgraph};
use apollo_compiler::ast::DirectiveList;
use apollo_compiler::parser::SourceSpan;
use apollo_compiler::schema::{ComponentOrigin, ExtendedType};

const CODE: &str = "INVALID_SHAREABLE_USAGE";

/// Reports the applications that break the rule.
pub fn check(subgraph: &Subgraph, errors: &mut Vec<Diagnostic>) {
    let Some(shareable) = subgraph.directive(FederationDirective::Shareable) else { return };
    let count = |directives: &DirectiveList| directives.iter().filter(|directive| directive.name == *shareable).count();
    for (name, definition) in &subgraph.schema.types {
        match definition {
            ExtendedType::Object(object) => {
                let declarations = &subgraph.type_facts(name).shareable_declarations;
                if has_duplicate(declarations) {
                    errors.push(duplicate(subgraph, &format!("one declaration of the type \"{name}\""), object.location()));
                }
                for field in object.fields.values().filter(|field| count(&field.directives) > 1) {
                    errors.push(duplicate(subgraph, &format!("the field \"{name}.{}\"", field.name), field.location()));
                }
            }
            ExtendedType::Interface(interface) => {
                for field in interface.fields.values().filter(|field| count(&field.directives) > 0) {
                    let message = format!(
                        "The field \"{name}.{}\" of an interface is @shareable. Mark the fields of the implementations instead.",
                        field.name
                    );
                    errors.push(subgraph.error(CODE, &message, field.location()));
                }
            }
            _ => {}
        }
    }
}

fn has_duplicate(declarations: &[ComponentOrigin]) -> bool {
    declarations.iter().enumerate().any(|(index, origin)| declarations.iter().take(index).any(|earlier| earlier == origin))
}

fn duplicate(subgraph: &Subgraph, what: &str, location: Option<SourceSpan>) -> Diagnostic {
    subgraph.error(CODE, &format!("@shareable is applied more than once to {what}. Once is enough."), location)
}
