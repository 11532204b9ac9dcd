//! Debian's Chromium, driven by its chromedriver over WebDriver, with a profile of its own in a temporary folder.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use fantoccini::elements::Element;
use fantoccini::{Client, ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::json;

use super::support::Folder;

/// For whatever a page should do at once, on a machine that is busy with other tests.
const SOON: Duration = Duration::from_secs(30);

const BESIDE_CHROMIUM: [&str; 9] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
];

pub struct Browser {
    pub page: Client,
    base: String,
    driver: Child,
    _profile: Folder,
}

impl Browser {
    /// One whose pages are so wide.
    pub async fn start(server: std::net::SocketAddr, width: u32) -> Browser {
        Browser::start_sized(server, width, 900).await
    }

    /// One whose pages are so wide and so high.
    pub async fn start_sized(server: std::net::SocketAddr, width: u32, height: u32) -> Browser {
        let profile = Folder::new("chromium");
        let mut driver = Command::new("chromedriver")
            .arg("--port=0")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("chromedriver (Debian: chromium-driver) is there");
        // "ChromeDriver was started successfully on port 12345."
        let mut lines = BufReader::new(driver.stdout.take().unwrap()).lines().map_while(Result::ok);
        let port: u16 = lines
            .find_map(|line| line.strip_suffix('.')?.rsplit_once("successfully on port ")?.1.parse().ok())
            .expect("chromedriver names its port");
        // Whatever it says later must not fill the pipe.
        std::thread::spawn(move || lines.for_each(drop));

        let mut arguments: Vec<String> = BESIDE_CHROMIUM.map(str::to_owned).to_vec();
        arguments.push(format!("--user-data-dir={}", profile.path().display()));
        let metrics = json!({ "width": width, "height": height, "pixelRatio": 1.0, "touch": false });
        let options = json!({ "args": arguments, "mobileEmulation": { "deviceMetrics": metrics } });
        let capabilities = json!({ "browserName": "chrome", "goog:chromeOptions": options });
        let page = ClientBuilder::new(HttpConnector::new())
            .capabilities(capabilities.as_object().unwrap().clone())
            .connect(&format!("http://127.0.0.1:{port}"))
            .await
            .unwrap();
        Browser { page, base: format!("http://{server}"), driver, _profile: profile }
    }

    pub async fn close(self) {
        let _ = self.page.clone().close().await;
    }

    pub async fn go(&self, path: &str) {
        self.page.goto(&format!("{}{path}", self.base)).await.unwrap();
    }

    /// The path of the page that is shown.
    pub async fn path(&self) -> String {
        self.page.current_url().await.unwrap().path().to_owned()
    }

    pub async fn wait_for_path(&self, path: &str) {
        let deadline = Instant::now() + SOON;
        while self.path().await != path {
            assert!(Instant::now() < deadline, "the page is {}, not {path}:\n{}", self.path().await, self.text().await);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Everything that a person reads on the page.
    pub async fn text(&self) -> String {
        // The page may be on its way to the next one.
        match self.page.find(Locator::Css("body")).await {
            Ok(body) => body.text().await.unwrap_or_default(),
            Err(_) => String::new(),
        }
    }

    /// Waits until the page says this: it must not be reloaded for it.
    pub async fn wait_for_text(&self, part: &str) {
        let deadline = Instant::now() + SOON;
        while !self.text().await.contains(part) {
            assert!(Instant::now() < deadline, "no {part:?} on {}:\n{}", self.path().await, self.text().await);
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    pub async fn find(&self, css: &str) -> Element {
        let wait = self.page.wait().at_most(SOON);
        wait.for_element(Locator::Css(css)).await.unwrap_or_else(|error| panic!("no {css}: {error}"))
    }

    pub async fn has(&self, css: &str) -> bool {
        !self.page.find_all(Locator::Css(css)).await.unwrap().is_empty()
    }

    pub async fn fill(&self, css: &str, text: &str) {
        let field = self.find(css).await;
        field.clear().await.unwrap();
        field.send_keys(text).await.unwrap();
    }

    pub async fn choose(&self, css: &str, value: &str) {
        self.find(css).await.select_by_value(value).await.unwrap();
    }

    /// Presses what this finds.
    pub async fn press_on(&self, css: &str) {
        self.find(css).await.click().await.unwrap();
    }

    /// No part of the page is wider than its screen.
    pub async fn assert_fits(&self) {
        let path = self.path().await;
        let widths = self.run("return [document.documentElement.scrollWidth, innerWidth]").await;
        assert!(widths[0].as_u64() <= widths[1].as_u64(), "{path} scrolls sideways: {widths}");
        assert!(self.has("h1").await, "{path} has no heading:\n{}", self.text().await);
    }

    /// Presses a button or a link by what stands on it. A live page may put another in its place just then: once more.
    pub async fn press(&self, words: &str) {
        let xpath = format!("//main//*[self::button or self::a][contains(normalize-space(.), \"{words}\")]");
        let deadline = Instant::now() + SOON;
        loop {
            let found = self.page.find(Locator::XPath(&xpath)).await;
            let pressed = match found {
                Ok(element) => element.click().await,
                Err(error) => Err(error),
            };
            match pressed {
                Ok(()) => return,
                Err(error) if Instant::now() > deadline => {
                    panic!("{words:?} can't be pressed on {}: {error}\n{}", self.path().await, self.text().await)
                }
                Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
            }
        }
    }

    /// Runs a script in the page.
    pub async fn run(&self, script: &str) -> serde_json::Value {
        self.page.execute(script, Vec::new()).await.unwrap()
    }

    pub async fn key(&self, key: char) {
        self.page.active_element().await.unwrap().send_keys(&key.to_string()).await.unwrap();
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}
