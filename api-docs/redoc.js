// Shows the API's document with ReDoc, to read. Its search would need a worker, and there is
// little to search.
const options = { disableSearch: true, hideDownloadButton: false, nativeScrollbars: true }
Redoc.init('openapi.json', options, document.getElementById('redoc'))
