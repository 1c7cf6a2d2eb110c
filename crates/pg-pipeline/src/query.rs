//! Statements, their parameters, and what a connection has prepared.

use std::fmt;

use futures_util::future::try_join_all;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Row, Statement};

use crate::Error;

/// A statement with the types of its parameters.
#[derive(Debug)]
pub struct Sql {
    /// The types of `$1`, `$2`, … if not prepared; otherwise the server infers them.
    pub types: &'static [Type],
    /// The statement itself.
    pub text: &'static str,
}

/// A statement with its parameters, which can be sent repeatedly.
pub struct Query {
    sql: &'static Sql,
    parameters: Vec<Box<dyn ToSql + Send + Sync>>,
    /// How many callers wait for its rows.
    pub(crate) callers: usize,
}

/// The statements that one connection has prepared.
#[derive(Default)]
pub struct Prepared(Vec<(&'static Sql, Statement)>);

impl Query {
    /// Creates a query without parameters.
    #[must_use]
    pub fn new(sql: &'static Sql) -> Self {
        Self { sql, parameters: Vec::new(), callers: 1 }
    }

    /// Adds the next parameter.
    #[must_use]
    pub fn bind(mut self, value: impl ToSql + Send + Sync + 'static) -> Self {
        self.parameters.push(Box::new(value));
        self
    }

    /// Sets how many callers wait for its rows.
    ///
    /// A query for several callers is sent together with other statements.
    #[must_use]
    pub fn for_callers(self, callers: usize) -> Self {
        Self { callers, ..self }
    }

    pub(crate) async fn send(
        &self,
        client: &Client,
        prepared: &Prepared,
    ) -> Result<Vec<Row>, tokio_postgres::Error> {
        let parameters = self.parameters.iter();
        let parameters = parameters.map(|parameter| &**parameter as &(dyn ToSql + Sync));
        if let Some(statement) = prepared.find(self.sql) {
            return client.query(statement, &parameters.collect::<Vec<_>>()).await;
        }
        let typed = parameters.zip(self.sql.types.iter().cloned()).collect::<Vec<_>>();
        client.query_typed(self.sql.text, &typed).await
    }
}

impl Prepared {
    /// Prepares statements on a connection, all in one round trip.
    ///
    /// # Errors
    ///
    /// The first error of the server, for example because a column is missing.
    pub async fn new(client: &Client, statements: &[&'static Sql]) -> Result<Self, Error> {
        let prepared = statements.iter().map(|sql| Box::pin(prepare(client, sql)));
        Ok(Self(try_join_all(prepared).await?))
    }

    /// Compares addresses, which is faster than any key: each static has one address.
    fn find(&self, sql: &'static Sql) -> Option<&Statement> {
        let same = self.0.iter().find(|(prepared, _)| std::ptr::eq(*prepared, sql));
        same.map(|(_, statement)| statement)
    }
}

async fn prepare(
    client: &Client,
    sql: &'static Sql,
) -> Result<(&'static Sql, Statement), tokio_postgres::Error> {
    Ok((sql, client.prepare(sql.text).await?))
}

impl fmt::Debug for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Query").field("sql", &self.sql.text).finish_non_exhaustive()
    }
}

impl fmt::Debug for Prepared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Prepared").field(&self.0.len()).finish()
    }
}
