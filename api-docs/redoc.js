// Shows the OpenAPI document with ReDoc. Its search is disabled: it would need a worker, and there is
// little to search.
const options = { disableSearch: true, hideDownloadButton: false, nativeScrollbars: true }
Redoc.init('openapi.json', options, document.getElementById('redoc'))
