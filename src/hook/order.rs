//! The order in which providers are asked for one message: the route's, what was learnt, what the last send came to.
//!
//! Must not know whether a provider is well now, nor ask anybody.

use super::Hook;
use crate::journal::Previous;
use crate::learn::Question;
use crate::otp::Message;
use crate::route::Plan;

impl Hook {
    /// The plan for a message, by the org's routes and by what was learnt. After a send a short while ago it begins with
    /// another provider: that one's message has not served.
    pub fn plan(&self, message: &Message, previous: Option<&Previous>) -> Plan {
        let plan = self.config.router.plan(message, crate::secret::random_below);
        let plan = self.put_last(plan, message);
        match previous {
            Some(previous) => plan.after(&previous.provider),
            None => plan,
        }
    }

    /// The plan with those last that fall behind, where its order is fixed. Weights say what share each is to have.
    fn put_last(&self, plan: Plan, message: &Message) -> Plan {
        if !plan.ordered || message.preview {
            return plan;
        }
        let question = Question {
            org: &self.config.name,
            mode: self.config.learn,
            route: &plan.route,
            country: message.recipient.country(),
            channel: message.channel,
            providers: &plan.providers,
        };
        let last = self.shared.learn.last(&question);
        plan.with_last(&last)
    }
}
