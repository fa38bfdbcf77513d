/* Functions of a row: only the drivers know how they come out. */
ROW_FUNCTION(log_softmax, ROW_LOG_SOFTMAX, FL_GRADIENT)
ROW_FUNCTION(softmax, ROW_SOFTMAX, FL_GRADIENT)
ROW_FUNCTION(logsumexp, ROW_LOGSUMEXP, FL_VALUE)
