/** What is made of runs: the page, and text for a pull request. */
package dev.isobit.bench.report;
