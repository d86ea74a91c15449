//! A real HTTP server on loopback, on a port of its own, for as long as a test holds it.

use axum::Router;

/// A running server; dropping it stops it.
pub struct Server {
    pub url: String,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Serves `router`.
pub async fn serve(router: Router) -> Server {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("loopback");
    let address = listener.local_addr().expect("bound");
    let task = tokio::spawn(async move { axum::serve(listener, router).await.expect("serves") });
    Server { url: format!("http://{address}"), task }
}
